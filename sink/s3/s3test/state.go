package s3test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// bucket is guarded by Server.mu. Objects and parts never change once stored.
type bucket struct {
	name      string
	created   time.Time
	objects   map[string]*object
	keys      []string // of objects, sorted by bytes as S3 lists them
	uploads   map[string]*upload
	lifecycle []byte // the document as it was put, nil if none
}

// object is what GetObject serves.
type object struct {
	Object
	sum     checksum
	sumType string // checksumComposite or checksumFull
}

// upload is guarded by Server.mu.
type upload struct {
	key, id  string
	begun    time.Time
	metadata map[string]string
	header   http.Header
	algo     string // declared checksum algorithm, "" if none
	sumType  string
	parts    map[int]*part
	gen      int // counts changes of parts
}

type part struct {
	n        int
	data     []byte
	etag     string
	sum      checksum
	modified time.Time
}

// bucketName is the rule of general purpose buckets, without the reserved
// prefixes and suffixes.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func checkBucketName(name string) *Error {
	if !bucketName.MatchString(name) || strings.Contains(name, "..") {
		return errorf(http.StatusBadRequest, "InvalidBucketName", "The specified bucket is not valid: %q", name)
	}
	return nil
}

func newBucket(name string, now time.Time) *bucket {
	return &bucket{name: name, created: now, objects: make(map[string]*object), uploads: make(map[string]*upload)}
}

// put makes o visible and returns what it replaces, or nil.
func (b *bucket) put(o *object) *object {
	old := b.objects[o.Key]
	b.objects[o.Key] = o
	if i, found := slices.BinarySearch(b.keys, o.Key); !found {
		b.keys = slices.Insert(b.keys, i, o.Key)
	}
	return old
}

// remove takes away the object of key, if any, and returns it.
func (b *bucket) remove(key string) *object {
	old := b.objects[key]
	delete(b.objects, key)
	if i, found := slices.BinarySearch(b.keys, key); found {
		b.keys = slices.Delete(b.keys, i, i+1)
	}
	return old
}

// from is the index of the first key that is not less than key.
func (b *bucket) from(key string) int {
	i, _ := slices.BinarySearch(b.keys, key)
	return i
}

// bytes is the memory of all parts of u.
func (u *upload) bytes() int64 {
	var n int64
	for _, p := range u.parts {
		n += int64(len(p.data))
	}
	return n
}

// lookup finds a bucket. Server.mu is held.
func (s *Server) lookup(name string) (*bucket, *Error) {
	if b := s.buckets[name]; b != nil {
		return b, nil
	}
	if err := checkBucketName(name); err != nil {
		return nil, err
	}
	return nil, noSuchBucket(name)
}

// lookupUpload finds the upload that c names. Server.mu is held.
func (s *Server) lookupUpload(c *Call) (*bucket, *upload, *Error) {
	b, err := s.lookup(c.Bucket)
	if err != nil {
		return nil, nil, err
	}
	u := b.uploads[c.UploadID]
	if u == nil || u.key != c.Key {
		return b, nil, noSuchUpload(c.UploadID)
	}
	return b, u, nil
}

// newUploadID returns an id that is greater, byte by byte, than all before:
// S3 lists the uploads of a key in the order they were begun. The random half
// keeps the ids of two servers apart. Server.mu is held.
func (s *Server) newUploadID() (string, *Error) {
	s.uploadSeq++
	var random [12]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", internalError("s3test: no random bytes: %v", err)
	}
	return fmt.Sprintf("%012d.%s", s.uploadSeq, hex.EncodeToString(random[:])), nil
}

// budget bounds the bytes held.
type budget struct {
	max int64

	mu   sync.Mutex
	used int64
}

// reserve takes n bytes or says that they are not there.
func (b *budget) reserve(n int64) *Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.max-b.used {
		// Not a code of S3, which is never full.
		return errorf(http.StatusInsufficientStorage, "InsufficientStorage",
			"s3test: %d more bytes do not fit: %d of Config.MaxBytes = %d are in use", n, b.used, b.max)
	}
	b.used += n
	return nil
}

func (b *budget) release(n int64) {
	b.mu.Lock()
	b.used -= n
	b.mu.Unlock()
}

func (b *budget) held() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
