package s3test

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// isoTime is how S3 writes times in documents.
func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

type listBucketsResult struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
	Owner   owner
	Buckets []bucketEntry `xml:"Buckets>Bucket"`
}

type bucketEntry struct {
	Name, CreationDate, BucketRegion string
}

// owner is the only account there is.
type owner struct {
	ID          string
	DisplayName string
}

func theOwner() owner { return owner{ID: "s3test", DisplayName: "s3test"} }

func (s *Server) listBuckets(*Call) *answer {
	result := listBucketsResult{Owner: theOwner()}
	s.mu.RLock()
	for _, b := range s.buckets {
		result.Buckets = append(result.Buckets, bucketEntry{b.name, isoTime(b.created), s.cfg.Region})
	}
	s.mu.RUnlock()
	slices.SortFunc(result.Buckets, func(a, b bucketEntry) int { return cmp.Compare(a.Name, b.Name) })
	return document(result)
}

func (s *Server) createBucket(c *Call) *answer {
	if _, err := c.verify(); err != nil {
		return failed(err)
	}
	if err := checkBucketName(c.Bucket); err != nil {
		return failed(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[c.Bucket] != nil {
		return failed(errorf(http.StatusConflict, "BucketAlreadyOwnedByYou",
			"Your previous request to create the named bucket succeeded and you already own it: %s", c.Bucket))
	}
	s.buckets[c.Bucket] = newBucket(c.Bucket, s.cfg.Now())
	a := empty(http.StatusOK)
	a.header.Set("Location", "/"+c.Bucket)
	return a
}

func (s *Server) headBucket(c *Call) *answer {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if _, err := s.lookup(c.Bucket); err != nil {
		return failed(err)
	}
	a := empty(http.StatusOK)
	a.header.Set("X-Amz-Bucket-Region", s.cfg.Region)
	return a
}

// deleteBucket removes a bucket without objects. Its unfinished uploads go too.
func (s *Server) deleteBucket(c *Call) *answer {
	s.change.Lock()
	defer s.change.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.lookup(c.Bucket)
	if err != nil {
		return failed(err)
	}
	if len(b.objects) > 0 {
		return failed(errorf(http.StatusConflict, "BucketNotEmpty", "The bucket you tried to delete is not empty: %d objects", len(b.objects)))
	}
	if err := s.lake.removeBucket(c.Bucket); err != nil {
		return failed(err)
	}
	for _, u := range b.uploads {
		s.memory.release(u.bytes())
	}
	delete(s.buckets, c.Bucket)
	return empty(http.StatusNoContent)
}

type locationResult struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
	Region  string   `xml:",chardata"`
}

func (s *Server) getLocation(c *Call) *answer {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if _, err := s.lookup(c.Bucket); err != nil {
		return failed(err)
	}
	region := s.cfg.Region
	if region == defaultRegion {
		region = "" // as S3 says it for the oldest region
	}
	return document(locationResult{Region: region})
}

func (s *Server) putLifecycle(c *Call) *answer {
	if err := c.verifyDocument(); err != nil {
		return failed(err)
	}
	if err := checkLifecycle(c.body); err != nil {
		return failed(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.lookup(c.Bucket)
	if err != nil {
		return failed(err)
	}
	b.lifecycle = slices.Clone(c.body) // the call gives its memory back
	return empty(http.StatusOK)
}

// checkLifecycle says whether a document is well-formed and has rules.
func checkLifecycle(text []byte) *Error {
	var config struct {
		XMLName xml.Name `xml:"LifecycleConfiguration"`
		Rules   []struct {
			Status string
		} `xml:"Rule"`
	}
	d := xml.NewDecoder(strings.NewReader(string(text)))
	if err := d.Decode(&config); err != nil {
		return malformedXML(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return malformedXML(errors.New("more than one document"))
	}
	if len(config.Rules) == 0 {
		return malformedXML(errors.New("no Rule"))
	}
	for _, rule := range config.Rules {
		if rule.Status != "Enabled" && rule.Status != "Disabled" {
			return malformedXML(fmt.Errorf("the Status of a Rule is %q", rule.Status))
		}
	}
	return nil
}

func (s *Server) getLifecycle(c *Call) *answer {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, err := s.lookup(c.Bucket)
	if err != nil {
		return failed(err)
	}
	if b.lifecycle == nil {
		return failed(errorf(http.StatusNotFound, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"))
	}
	a := empty(http.StatusOK)
	a.header.Set("Content-Type", "application/xml")
	a.body = b.lifecycle
	return a
}

func (s *Server) deleteLifecycle(c *Call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.lookup(c.Bucket)
	if err != nil {
		return failed(err)
	}
	b.lifecycle = nil
	return empty(http.StatusNoContent)
}
