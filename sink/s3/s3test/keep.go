package s3test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// notes is the folder below Config.Dir with what a file cannot say of its object.
// No bucket can have this name.
const notes = ".s3test-notes"

// note is what is kept of an object beside its bytes. It holds for a file with
// these bytes only: somebody may have replaced it.
type note struct {
	MD5      string            `json:"md5"` // of the bytes
	ETag     string            `json:"etag"`
	Modified time.Time         `json:"modified"`
	Parts    int               `json:"parts,omitempty"`
	Header   http.Header       `json:"header"`
	Metadata map[string]string `json:"metadata"`
	SumAlgo  string            `json:"sum_algo,omitempty"`
	Sum      string            `json:"sum,omitempty"`
	SumType  string            `json:"sum_type,omitempty"`
}

// noteName is where the note of an object lies: keys need not be file names that
// can take a suffix.
func noteName(bucket, key string) string { return path.Join(notes, bucket, md5Of([]byte(key))+".json") }

func md5Of(b []byte) string { sum := md5.Sum(b); return hex.EncodeToString(sum[:]) }

// note writes the note of an object that is about to be shown.
func (l *lake) note(bucket string, o *object) *Error {
	if l == nil || !l.keep {
		return nil
	}
	text, err := json.Marshal(note{md5Of(o.Body), o.ETag, o.Modified, o.Parts, o.Header, o.Metadata, o.sum.algo, o.sum.value, o.sumType})
	if err != nil {
		return dirError(err)
	}
	name := filepath.Join(l.dir, filepath.FromSlash(noteName(bucket, o.Key)))
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return dirError(err)
	}
	if err := os.WriteFile(name, text, 0o666); err != nil {
		return dirError(err)
	}
	return nil
}

// forget removes the note of an object that is gone.
func (l *lake) forget(bucket, key string) *Error {
	if !l.keep {
		return nil
	}
	err := os.Remove(filepath.Join(l.dir, filepath.FromSlash(noteName(bucket, key))))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return dirError(err)
	}
	return nil
}

// Load makes objects of the files in Config.Dir, and buckets of its folders, and
// returns how many objects it found; without Config.Keep and a Dir it does
// nothing. Call it once, before the first request. It fails, with what it has
// loaded so far, if the folder cannot be read, if it has files where no bucket or
// object can be, or if they take more than Config.MaxBytes.
func (s *Server) Load() (objects int, err error) {
	if s.lake == nil || !s.lake.keep {
		return 0, nil
	}
	if err := os.RemoveAll(filepath.Join(s.lake.dir, scratch)); err != nil {
		return 0, fmt.Errorf("s3test: Config.Dir: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	root := os.DirFS(s.lake.dir)
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		bucket, key, _ := strings.Cut(name, "/")
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == ".":
			return fs.SkipAll // it is made with the first object
		case err != nil:
			return err
		case name == ".":
			return nil
		case name[0] == '.' && d.IsDir():
			return fs.SkipDir // the notes, and what no bucket can be
		case name[0] == '.':
			return nil
		case checkBucketName(bucket) != nil || key == "" && !d.IsDir():
			return fmt.Errorf("%s is not a bucket: give a folder of its own", name)
		case d.IsDir():
			if s.buckets[bucket] == nil {
				s.buckets[bucket] = newBucket(bucket, s.cfg.Now())
			}
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is not a file", name)
		}
		if err := s.loadFile(root, bucket, key); err != nil {
			return err
		}
		objects++
		return nil
	})
	if err != nil {
		err = fmt.Errorf("s3test: Config.Dir %s: %w", s.lake.dir, err)
	}
	return objects, err
}

// loadFile makes one object. s.mu is held.
func (s *Server) loadFile(root fs.FS, bucket, key string) error {
	name := path.Join(bucket, key)
	info, err := fs.Stat(root, name)
	if err != nil {
		return err
	}
	if err := s.memory.reserve(info.Size()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	body, err := fs.ReadFile(root, name)
	if err == nil && int64(len(body)) != info.Size() {
		err = fmt.Errorf("%s changes while it is read", name)
	}
	if err != nil {
		s.memory.release(info.Size())
		return err
	}
	o := &object{Object: Object{Key: key, Size: info.Size(), ETag: etag(body), Modified: info.ModTime(), Body: body,
		Header: http.Header{"Content-Type": {"binary/octet-stream"}}, Metadata: map[string]string{}}}
	text, err := fs.ReadFile(root, noteName(bucket, key))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var n note
	if err == nil && json.Unmarshal(text, &n) == nil && n.MD5 == md5Of(body) && n.Header != nil {
		o.ETag, o.Modified, o.Parts, o.Header, o.Metadata = n.ETag, n.Modified, n.Parts, n.Header, n.Metadata
		o.sum, o.sumType = checksum{n.SumAlgo, n.Sum}, n.SumType
	}
	s.buckets[bucket].put(o)
	return nil
}
