package dir

import (
	"path/filepath"
	"strings"
)

// Limits of keys. 1,024 bytes is the limit of Amazon S3 too, so that a lake can
// move; 255 is that of a name in the common file systems.
const (
	maxKey  = 1024
	maxName = 255
)

// validKey refuses keys that are not plain relative paths, or that would lie
// among the unfinished uploads.
func validKey(key string) error {
	switch {
	case key == "":
		return refusedf("the key is empty")
	case len(key) > maxKey:
		return refusedf("the key %.60q... has %d bytes, more than %d: choose a shorter prefix or partition value", key, len(key), maxKey)
	case strings.ContainsRune(key, 0):
		return refusedf("the key %q contains a zero byte", key)
	case strings.HasPrefix(key, "/"):
		return refusedf("the key %q is not relative", key)
	}
	for name := range strings.SplitSeq(key, "/") {
		switch {
		case name == "":
			return refusedf("the key %q has an empty segment", key)
		case name == "." || name == "..":
			return refusedf("the key %q has the segment %q", key, name)
		case len(name) > maxName:
			return refusedf("the key %.60q... has a segment of %d bytes, more than %d: choose a shorter partition value", key, len(name), maxName)
		}
	}
	// File systems may ignore case.
	if k := strings.ToLower(key); k == staging || strings.HasPrefix(k, staging+"/") {
		return refusedf("the key %q lies in the store's staging folder", key)
	}
	return nil
}

// path returns the absolute path of a valid key. Some systems reserve names, such
// as NUL on Windows.
func (s *Store) path(key string) (string, error) {
	local, err := filepath.Localize(key)
	if err != nil {
		return "", refusedf("the key %q is not a path of this operating system: %w", key, err)
	}
	return filepath.Join(s.root, local), nil
}
