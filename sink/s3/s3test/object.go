package s3test

import (
	"encoding/xml"
	"net/http"
	"strings"
)

// maxMetadata is the limit of S3 for user metadata, names and values, in bytes.
const maxMetadata = 2 << 10

const metadataPrefix = "X-Amz-Meta-"

// kept are the headers of PutObject and CreateMultipartUpload that are stored
// with the object and given back by GetObject and HeadObject.
var kept = []string{
	"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires",
	"X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id",
	"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "X-Amz-Storage-Class", "X-Amz-Tagging",
	"X-Amz-Website-Redirect-Location",
}

// describe takes the stored headers and the user metadata of a request.
func (c *Call) describe() (http.Header, map[string]string, *Error) {
	header := make(http.Header)
	for _, name := range kept {
		if v := c.Header.Get(name); v != "" {
			header.Set(name, v)
		}
	}
	// aws-chunked describes the transfer, not the object.
	var encodings []string
	for t := range strings.SplitSeq(header.Get("Content-Encoding"), ",") {
		if t = strings.TrimSpace(t); t != "" && t != "aws-chunked" {
			encodings = append(encodings, t)
		}
	}
	header.Del("Content-Encoding")
	if len(encodings) > 0 {
		header.Set("Content-Encoding", strings.Join(encodings, ","))
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "binary/octet-stream")
	}
	metadata := make(map[string]string)
	size := 0
	for name, values := range c.Header {
		if suffix, ok := strings.CutPrefix(name, metadataPrefix); ok {
			value := strings.Join(values, ",")
			metadata[strings.ToLower(suffix)] = value
			size += len(suffix) + len(value)
		}
	}
	if size > maxMetadata {
		return nil, nil, errorf(http.StatusBadRequest, "MetadataTooLarge",
			"Your metadata headers exceed the maximum allowed metadata size: %d bytes, at most %d", size, maxMetadata)
	}
	return header, metadata, nil
}

// condition is what If-Match and If-None-Match of a write ask for.
type condition struct {
	ifMatch     string
	ifNoneMatch string
}

func writeCondition(h http.Header) (condition, *Error) {
	cond := condition{ifMatch: h.Get("If-Match"), ifNoneMatch: h.Get("If-None-Match")}
	if cond.ifNoneMatch != "" && cond.ifNoneMatch != "*" {
		return cond, notImplemented("If-None-Match of a write other than *")
	}
	if cond.ifMatch != "" && cond.ifNoneMatch != "" {
		return cond, notImplemented("If-Match and If-None-Match in one write")
	}
	return cond, nil
}

// check compares with what is visible under key, nil if nothing is.
func (cond condition) check(key string, current *object) *Error {
	if cond.ifNoneMatch == "*" && current != nil {
		return preconditionFailed("If-None-Match")
	}
	if cond.ifMatch != "" {
		if current == nil {
			return noSuchKey(key)
		}
		if !matchesETag(cond.ifMatch, current.ETag) {
			return preconditionFailed("If-Match")
		}
	}
	return nil
}

// matchesETag says whether a list of ETags, quoted or not, or "*", has one.
func matchesETag(list, etag string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if t = strings.TrimSpace(t); t == "*" || strings.Trim(t, `"`) == strings.Trim(etag, `"`) {
			return true
		}
	}
	return false
}

func (s *Server) putObject(c *Call) *answer {
	if c.Header.Get("X-Amz-Write-Offset-Bytes") != "" {
		return failed(notImplemented("x-amz-write-offset-bytes"))
	}
	cond, err := writeCondition(c.Header)
	if err != nil {
		return failed(err)
	}
	claimed, err := c.verifyStored()
	if err != nil {
		return failed(err)
	}
	header, metadata, err := c.describe()
	if err != nil {
		return failed(err)
	}
	o := &object{
		Object: Object{
			Key: c.Key, Size: c.Size, ETag: etag(c.body), Header: header, Metadata: metadata,
			Body: c.body,
		},
		sum: claimed, sumType: checksumFull,
	}
	err = s.publish(c.Bucket, o, func(b *bucket) *Error {
		if err := cond.check(c.Key, b.objects[c.Key]); err != nil {
			return err
		}
		o.Modified = s.cfg.Now()
		return nil
	}, func(*bucket) { c.take() })
	if err != nil {
		return failed(err)
	}
	a := empty(http.StatusOK)
	a.header.Set("Etag", o.ETag)
	setChecksum(a.header, o)
	setEncryption(a.header, o.Header)
	return a
}

// publish makes o visible, with its file, as one step: check, on the bucket as
// it is then, may refuse; done runs in the same instant.
func (s *Server) publish(bucketName string, o *object, check func(*bucket) *Error, done func(*bucket)) *Error {
	// A bucket that is not there must not leave a file or a folder.
	s.mu.RLock()
	_, err := s.lookup(bucketName)
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	file, err := s.lake.stage(bucketName, o.Key, o.Body)
	if err != nil {
		return err
	}
	err = s.changeObject(bucketName, o.Key, func(b *bucket) (bool, *Error) {
		if err := check(b); err != nil {
			return false, err
		}
		if err := s.lake.conflict(b, o.Key); err != nil {
			return false, err
		}
		if err := s.lake.note(bucketName, o); err != nil {
			return false, err
		}
		if err := file.show(); err != nil {
			return false, err
		}
		if old := b.put(o); old != nil {
			s.memory.release(old.Size)
		}
		done(b)
		return true, nil
	})
	if closeErr := file.close(); err == nil {
		err = closeErr
	}
	return err
}

// changeObject runs f on a bucket and, if it returns true, OnVisible, without
// any change of another object in between.
func (s *Server) changeObject(bucketName, key string, f func(*bucket) (bool, *Error)) *Error {
	s.change.Lock()
	defer s.change.Unlock()
	changed, err := func() (bool, *Error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		b, err := s.lookup(bucketName)
		if err != nil {
			return false, err
		}
		return f(b)
	}()
	if changed && s.cfg.OnVisible != nil {
		s.cfg.OnVisible(bucketName, key)
	}
	return err
}

// removeObject deletes one object, which need not be there.
func (s *Server) removeObject(bucketName, key string, cond condition) *Error {
	return s.changeObject(bucketName, key, func(b *bucket) (bool, *Error) {
		if err := cond.check(key, b.objects[key]); err != nil {
			return false, err
		}
		if b.objects[key] == nil {
			return false, nil
		}
		if err := s.lake.remove(bucketName, key); err != nil {
			return false, err
		}
		s.memory.release(b.remove(key).Size)
		return true, nil
	})
}

func (s *Server) deleteObject(c *Call) *answer {
	if err := s.removeObject(c.Bucket, c.Key, condition{ifMatch: c.Header.Get("If-Match")}); err != nil {
		return failed(err)
	}
	return empty(http.StatusNoContent)
}

// maxDelete is the limit of S3 for keys in one DeleteObjects.
const maxDelete = 1000

type deleteRequest struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool
	Objects []struct {
		Key  string
		ETag string
	} `xml:"Object"`
}

type deleteResult struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
	Deleted []struct{ Key string }
	Errors  []deleteError `xml:"Error"`
}

type deleteError struct{ Key, Code, Message string }

func (s *Server) deleteObjects(c *Call) *answer {
	if err := c.verifyDocument(); err != nil {
		return failed(err)
	}
	var request deleteRequest
	if err := xml.Unmarshal(c.body, &request); err != nil {
		return failed(malformedXML(err))
	}
	if n := len(request.Objects); n == 0 || n > maxDelete {
		return failed(errorf(http.StatusBadRequest, "MalformedXML", "Delete must list 1 to %d objects, not %d", maxDelete, n))
	}
	var result deleteResult
	for _, o := range request.Objects {
		if err := s.removeObject(c.Bucket, o.Key, condition{ifMatch: o.ETag}); err != nil {
			if err.Code == "NoSuchBucket" || err.Code == "InvalidBucketName" {
				return failed(err)
			}
			result.Errors = append(result.Errors, deleteError{o.Key, err.Code, err.Message})
		} else if !request.Quiet {
			result.Deleted = append(result.Deleted, struct{ Key string }{o.Key})
		}
	}
	return document(result)
}
