package s3test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

func (s *Server) getObject(c *Call) *answer { return s.read(c, true) }

func (s *Server) headObject(c *Call) *answer { return s.read(c, false) }

// read answers GetObject, and HeadObject without the body.
func (s *Server) read(c *Call, withBody bool) *answer {
	o, err := s.find(c)
	if err != nil {
		return failed(err)
	}
	if err := checkRead(c.Header, o); err != nil {
		a := failed(err)
		a.header.Set("Etag", o.ETag)
		return a
	}
	a := empty(http.StatusOK)
	maps.Copy(a.header, o.Header)
	if tags := o.Header.Get("X-Amz-Tagging"); tags != "" {
		a.header.Del("X-Amz-Tagging")
		if q, err := url.ParseQuery(tags); err == nil {
			a.header.Set("X-Amz-Tagging-Count", strconv.Itoa(len(q)))
		}
	}
	for name, value := range o.Metadata {
		a.header.Set(metadataPrefix+name, value)
	}
	a.header.Set("Etag", o.ETag)
	a.header.Set("Last-Modified", o.Modified.UTC().Format(http.TimeFormat))
	a.header.Set("Accept-Ranges", "bytes")
	overrideHeaders(a.header, c.Query)

	first, last, partial, err := parseRange(c.Header.Get("Range"), o.Size)
	if err != nil {
		return failed(err)
	}
	body := o.Body
	if partial {
		a.status = http.StatusPartialContent
		a.header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, o.Size))
		body = o.Body[first : last+1]
	} else if c.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" {
		// Not with a range: the checksum is that of the whole.
		setChecksum(a.header, o)
	}
	a.length = int64(len(body))
	if withBody {
		a.body = body
	}
	return a
}

func (s *Server) find(c *Call) (*object, *Error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, err := s.lookup(c.Bucket)
	if err != nil {
		return nil, err
	}
	o := b.objects[c.Key]
	if o == nil {
		return nil, noSuchKey(c.Key)
	}
	return o, nil
}

// overrideHeaders does what the response-* queries of GetObject ask for.
func overrideHeaders(h http.Header, query url.Values) {
	for _, name := range kept[:6] { // Cache-Control to Expires
		if v := query.Get("response-" + strings.ToLower(name)); v != "" {
			h.Set(name, v)
		}
	}
}

// setChecksum gives an object's checksum back, if it has one.
func setChecksum(h http.Header, o *object) {
	if o.sum.algo != "" {
		h.Set(headerName(o.sum.algo), o.sum.value)
		h.Set("X-Amz-Checksum-Type", o.sumType)
	}
}

// setEncryption gives back the encryption that was asked for. Nothing is
// encrypted.
func setEncryption(h, stored http.Header) {
	for name, values := range stored {
		if strings.HasPrefix(name, "X-Amz-Server-Side-Encryption") {
			h[name] = values
		}
	}
}

// checkRead evaluates the conditions of a read in the order of RFC 9110, 13.2.2.
func checkRead(h http.Header, o *object) *Error {
	modified := o.Modified.Truncate(time.Second)
	if v := h.Get("If-Match"); v != "" {
		if !matchesETag(v, o.ETag) {
			return preconditionFailed("If-Match")
		}
	} else if t, err := http.ParseTime(h.Get("If-Unmodified-Since")); err == nil && modified.After(t) {
		return preconditionFailed("If-Unmodified-Since")
	}
	if v := h.Get("If-None-Match"); v != "" {
		if matchesETag(v, o.ETag) {
			return errorf(http.StatusNotModified, "NotModified", "Not Modified")
		}
	} else if t, err := http.ParseTime(h.Get("If-Modified-Since")); err == nil && !modified.After(t) {
		return errorf(http.StatusNotModified, "NotModified", "Not Modified")
	}
	return nil
}

// parseRange understands one range of bytes. As S3 does, it takes what it does
// not understand for no range; partial says whether there is one.
func parseRange(header string, size int64) (first, last int64, partial bool, err *Error) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	from, to, dash := strings.Cut(spec, "-")
	if !ok || !dash {
		return 0, 0, false, nil
	}
	unsatisfiable := errorf(http.StatusRequestedRangeNotSatisfiable, "InvalidRange",
		"The requested range is not satisfiable: %s of %d bytes", header, size)
	last = size - 1
	if from == "" { // the last so many bytes
		n, bad := strconv.ParseInt(to, 10, 64)
		if bad != nil || n < 0 {
			return 0, 0, false, nil
		}
		if n == 0 || size == 0 {
			return 0, 0, false, unsatisfiable
		}
		return max(0, size-n), last, true, nil
	}
	first, bad := strconv.ParseInt(from, 10, 64)
	if bad != nil || first < 0 {
		return 0, 0, false, nil
	}
	if to != "" {
		end, bad := strconv.ParseInt(to, 10, 64)
		if bad != nil || end < first {
			return 0, 0, false, nil
		}
		last = min(last, end)
	}
	if first >= size {
		return 0, 0, false, unsatisfiable
	}
	return first, last, true, nil
}
