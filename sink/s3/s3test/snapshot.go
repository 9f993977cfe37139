package s3test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Object is a visible object. It never changes; its maps and Body are shared
// with the server and must not be written to.
type Object struct {
	Key  string
	Size int64
	// ETag is quoted: the MD5 of the body, or of the parts' MD5s with "-" and the
	// number of parts.
	ETag string
	// Header has the stored headers of S3, such as Content-Type.
	Header http.Header
	// Metadata is the user metadata, by lower-case name without x-amz-meta-.
	Metadata map[string]string
	// Modified is when PutObject took effect, or when the multipart upload was
	// begun: S3 documents that as its creation date
	// (docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html).
	Modified time.Time
	// Parts is the number of parts of a multipart upload, else 0.
	Parts int
	Body  []byte
}

// Upload is an unfinished multipart upload. Its maps and bodies are shared as
// those of an Object are.
type Upload struct {
	Key, ID  string
	Begun    time.Time
	Header   http.Header
	Metadata map[string]string
	Parts    []Part // by number
}

// Part is a stored part of an unfinished upload.
type Part struct {
	Number   int
	ETag     string // quoted MD5
	Size     int64
	Modified time.Time
	Body     []byte
}

// Buckets returns the names of the buckets, sorted.
func (s *Server) Buckets() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.buckets))
}

// Objects returns the visible objects of a bucket whose keys begin with prefix,
// by key, as they are at one instant. It is empty for a bucket that is not there.
func (s *Server) Objects(bucket, prefix string) map[string]Object {
	objects := make(map[string]Object)
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.buckets[bucket]
	if b == nil {
		return objects
	}
	for _, key := range b.keys[b.from(prefix):] {
		if !strings.HasPrefix(key, prefix) {
			break
		}
		objects[key] = b.objects[key].Object
	}
	return objects
}

// Uploads returns the unfinished uploads of a bucket at one instant, sorted by
// key and then in the order they were begun.
func (s *Server) Uploads(bucket string) []Upload {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.buckets[bucket]
	if b == nil {
		return nil
	}
	var uploads []Upload
	for _, u := range b.sortedUploads("") {
		public := Upload{Key: u.key, ID: u.id, Begun: u.begun, Header: u.header, Metadata: u.metadata}
		for _, p := range u.sortedParts() {
			public.Parts = append(public.Parts, Part{
				Number: p.n, ETag: p.etag, Size: int64(len(p.data)), Modified: p.modified, Body: p.data,
			})
		}
		uploads = append(uploads, public)
	}
	return slices.Clip(uploads)
}

// AbortUploads removes the unfinished uploads of all buckets that were begun at
// least olderThan ago, by Config.Now, and returns their number: what a lifecycle
// rule with AbortIncompleteMultipartUpload does at midnight.
func (s *Server) AbortUploads(olderThan time.Duration) int {
	limit := s.cfg.Now().Add(-olderThan)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, b := range s.buckets {
		for id, u := range b.uploads {
			if !u.begun.After(limit) {
				s.memory.release(u.bytes())
				delete(b.uploads, id)
				n++
			}
		}
	}
	return n
}

// Bytes returns how much of Config.MaxBytes is in use.
func (s *Server) Bytes() int64 { return s.memory.held() }
