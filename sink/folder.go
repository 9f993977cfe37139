package sink

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// Folder is where files of one stream go: a prefix in a store, how it is cut into
// Hive partitions, and when a file is large enough. Stores make one with their
// Folder method; By and the fields refine it. It is a value: a copy is another
// folder.
type Folder struct {
	Store  Store
	Prefix string // "raw/clicks"; without leading or trailing slash

	// Partitions cut the folder into Hive partitions, outermost first.
	Partitions []Partition
	// FileBytes is the size at which a file is closed and another one begun; 128
	// MiB by default. Files are also cut by every commit, which is what bounds
	// their age.
	FileBytes int64
	// MaxOpen bounds the files open at once in each lane, 64 by default. One more
	// partition closes the largest: bounded memory for the price of smaller files.
	MaxOpen int
}

const (
	defaultFileBytes = 128 << 20
	defaultMaxOpen   = 64
	reserved         = "_shardlake"
)

// By returns the folder cut into the given partitions.
func (f Folder) By(parts ...Partition) Folder {
	f.Partitions = append(append([]Partition(nil), f.Partitions...), parts...)
	return f
}

// check reports all mistakes together.
func (f Folder) check() error {
	if f.Store == nil {
		return errors.New("the folder has no store: make it with the Folder method of a store")
	}
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	clean := path.Clean("/" + f.Prefix)[1:]
	if clean != f.Prefix || strings.ContainsAny(f.Prefix, "\\\x00*?") || f.Prefix == reserved || strings.HasPrefix(f.Prefix, reserved+"/") {
		bad("folder %q: want a clean relative path like raw/clicks, outside of %s", f.Prefix, reserved)
	}
	if f.FileBytes < 0 || f.MaxOpen < 0 {
		bad("folder %q: FileBytes is %d and MaxOpen is %d: want positive numbers, or 0 for the defaults", f.Prefix, f.FileBytes, f.MaxOpen)
	}
	seen := map[string]bool{}
	for _, p := range f.Partitions {
		if err := p.check(); err != nil {
			bad("folder %q: %w", f.Prefix, err)
		}
		if seen[strings.ToLower(p.name)] {
			bad("folder %q: two partitions are called %q", f.Prefix, p.name)
		}
		seen[strings.ToLower(p.name)] = true
	}
	return errors.Join(append(errs, f.Store.Check())...)
}
