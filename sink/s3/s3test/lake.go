package s3test

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// scratch is the folder below Config.Dir where files are written before they are
// renamed. No bucket can have this name.
const scratch = ".s3test-tmp"

// lake keeps the visible objects as files. A nil *lake keeps none.
type lake struct {
	dir  string
	keep bool // with notes, for Load
}

func newLake(dir string, keep bool) *lake {
	if dir == "" {
		return nil
	}
	return &lake{dir, keep}
}

// check says whether a key can be a file below a bucket's folder.
func (l *lake) check(key string) *Error {
	if l == nil {
		return nil
	}
	_, err := filepath.Localize(key)
	if !fs.ValidPath(key) || key == "." || err != nil {
		return invalidRequest("s3test: Config.Dir cannot hold the key %q: absolute keys and keys with an empty, \".\" or \"..\" segment are no files", key)
	}
	return nil
}

// conflict says whether key would make one path a file and a folder at once.
func (l *lake) conflict(b *bucket, key string) *Error {
	if l == nil {
		return nil
	}
	below := key + "/"
	if i := b.from(below); i < len(b.keys) && strings.HasPrefix(b.keys[i], below) {
		return invalidRequest("s3test: Config.Dir cannot hold the key %q: there is an object %q", key, b.keys[i])
	}
	for above := path.Dir(key); above != "."; above = path.Dir(above) {
		if b.objects[above] != nil {
			return invalidRequest("s3test: Config.Dir cannot hold the key %q: there is an object %q", key, above)
		}
	}
	return nil
}

// file is a written file that is not yet in its place. The file of a nil lake is
// nil, and its methods do nothing.
type file struct {
	root         *os.Root
	name, target string
	shown        bool
}

// stage writes the file of an object outside the bucket's folder.
func (l *lake) stage(bucket, key string, body []byte) (*file, *Error) {
	if l == nil {
		return nil, nil
	}
	if err := l.check(key); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(l.dir, scratch), 0o777); err != nil {
		return nil, dirError(err)
	}
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return nil, dirError(err)
	}
	f := &file{root: root, name: path.Join(scratch, rand.Text()), target: path.Join(bucket, key)}
	if err := root.WriteFile(f.name, body, 0o666); err != nil {
		if rest := root.Remove(f.name); !errors.Is(rest, fs.ErrNotExist) {
			err = errors.Join(err, rest)
		}
		return nil, dirError(errors.Join(err, root.Close()))
	}
	return f, nil
}

// show puts the file in its place, whole, in place of what is there.
func (f *file) show() *Error {
	if f == nil {
		return nil
	}
	if err := f.root.MkdirAll(path.Dir(f.target), 0o777); err != nil {
		return dirError(err)
	}
	if err := f.root.Rename(f.name, f.target); err != nil {
		return dirError(err)
	}
	f.shown = true
	return nil
}

// close removes the file unless it was shown.
func (f *file) close() *Error {
	if f == nil {
		return nil
	}
	var err error
	if !f.shown {
		err = f.root.Remove(f.name)
	}
	if err = errors.Join(err, f.root.Close()); err != nil {
		return dirError(err)
	}
	return nil
}

// remove takes the file of an object away, and the folders that are then empty.
// Server.change is held, so nobody is making a folder.
func (l *lake) remove(bucket, key string) *Error {
	if l == nil {
		return nil
	}
	if err := l.forget(bucket, key); err != nil {
		return err
	}
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return dirError(err)
	}
	err = func() error {
		name := path.Join(bucket, key)
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for dir := path.Dir(name); dir != bucket; dir = path.Dir(dir) {
			entries, err := fs.ReadDir(root.FS(), dir)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			if len(entries) > 0 {
				return nil
			}
			if err := root.Remove(dir); err != nil {
				return err
			}
		}
		return nil
	}()
	if err = errors.Join(err, root.Close()); err != nil {
		return dirError(err)
	}
	return nil
}

// removeBucket takes away the folder of a bucket without objects.
func (l *lake) removeBucket(bucket string) *Error {
	if l == nil {
		return nil
	}
	err := os.Remove(filepath.Join(l.dir, bucket))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return dirError(err)
	}
	return nil
}

func dirError(err error) *Error { return internalError("s3test: Config.Dir: %v", err) }
