package s3test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

type completeRequest struct {
	XMLName xml.Name       `xml:"CompleteMultipartUpload"`
	Parts   []completePart `xml:"Part"`
}

type completePart struct {
	PartNumber int
	ETag       string
	checksums
}

type completeResult struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
	Location     string
	Bucket       string
	Key          string
	ETag         string
	ChecksumType string `xml:",omitempty"`
	checksums
}

func (s *Server) completeUpload(c *Call) *answer {
	// x-amz-checksum-* is here that of the object, not that of the body.
	if err := c.verifyPayload(); err != nil {
		return failed(err)
	}
	cond, err := writeCondition(c.Header)
	if err != nil {
		return failed(err)
	}
	var request completeRequest
	if err := xml.Unmarshal(c.body, &request); err != nil {
		return failed(malformedXML(err))
	}
	if n := len(request.Parts); n == 0 || n > maxParts {
		return failed(malformedXML(fmt.Errorf("%d parts; 1 to %d are allowed", n, maxParts)))
	}
	for {
		a, retry := s.tryComplete(c, request.Parts, cond)
		if !retry {
			return a
		}
	}
}

// tryComplete assembles the object without holding Server.mu, since that takes
// time, and starts again (retry) if the upload changed meanwhile. One object is
// assembled at a time: its copy of the parts is not in the budget.
func (s *Server) tryComplete(c *Call, listed []completePart, cond condition) (a *answer, retry bool) {
	s.assembly.Lock()
	defer s.assembly.Unlock()
	list := fingerprint(listed)
	s.mu.RLock()
	_, u, err := s.lookupUpload(c)
	if err != nil {
		defer s.mu.RUnlock()
		if err.Code == "NoSuchUpload" && s.cfg.RepeatComplete == RepeatSame {
			if a = s.finished.find(c, list); a != nil {
				return a, false
			}
		}
		return failed(err), false
	}
	gen := u.gen
	parts, err := s.choose(u, listed)
	s.mu.RUnlock()
	if err != nil {
		return failed(err), false
	}

	o, err := assemble(c, u, parts)
	if err != nil {
		return failed(err), false
	}
	result := completeResult{
		Location: "/" + c.Bucket + "/" + c.Key, Bucket: c.Bucket, Key: c.Key, ETag: o.ETag, checksums: newChecksums(o.sum),
	}
	if o.sum.algo != "" {
		result.ChecksumType = o.sumType
	}
	a = document(result)
	setEncryption(a.header, o.Header)

	err = s.publish(c.Bucket, o, func(b *bucket) *Error {
		if now := b.uploads[u.id]; now != u || now.gen != gen {
			retry = true
			return noSuchUpload(u.id) // not shown
		}
		return cond.check(o.Key, b.objects[o.Key])
	}, func(b *bucket) {
		// The object takes over what its parts had.
		s.memory.release(u.bytes() - o.Size)
		delete(b.uploads, u.id)
		s.finished.add(c, list, a)
	})
	if retry {
		return nil, true
	}
	if err != nil {
		return failed(err), false
	}
	return a, false
}

// choose finds the listed parts and checks everything that S3 checks of them.
// Server.mu is held.
func (s *Server) choose(u *upload, listed []completePart) ([]*part, *Error) {
	parts := make([]*part, len(listed))
	for i, l := range listed {
		if i > 0 && l.PartNumber <= listed[i-1].PartNumber {
			return nil, errorf(http.StatusBadRequest, "InvalidPartOrder",
				"The list of parts was not in ascending order. The parts list must be specified in order by part number: %d after %d",
				l.PartNumber, listed[i-1].PartNumber)
		}
		p := u.parts[l.PartNumber]
		if p == nil || strings.Trim(l.ETag, `"`) != strings.Trim(p.etag, `"`) {
			return nil, invalidPart(l.PartNumber)
		}
		for _, algo := range algorithms {
			value := *l.field(algo)
			if value != "" && (p.sum.algo != algo || p.sum.value != value) {
				return nil, invalidPart(l.PartNumber)
			}
			if value == "" && algo == u.algo && u.sumType == checksumComposite {
				return nil, invalidRequest("The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.",
					strings.ToLower(algo), l.PartNumber)
			}
		}
		parts[i] = p
	}
	for _, p := range parts[:len(parts)-1] {
		if int64(len(p.data)) < s.cfg.MinPart {
			return nil, errorf(http.StatusBadRequest, "EntityTooSmall",
				"Your proposed upload is smaller than the minimum allowed size: part %d has %d bytes, at least %d are needed",
				p.n, len(p.data), s.cfg.MinPart)
		}
	}
	return parts, nil
}

func invalidPart(n int) *Error {
	return errorf(http.StatusBadRequest, "InvalidPart",
		"One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag: part %d", n)
}

// assemble makes the object of parts and checks what Complete says of the whole.
func assemble(c *Call, u *upload, parts []*part) (*object, *Error) {
	var size int64
	for _, p := range parts {
		size += int64(len(p.data))
	}
	if v := c.Header.Get("X-Amz-Mp-Object-Size"); v != "" {
		if want, bad := strconv.ParseInt(v, 10, 64); bad != nil || want != size {
			return nil, invalidRequest("The provided 'x-amz-mp-object-size' header value %s does not match what was computed: %d", v, size)
		}
	}
	body := parts[0].data
	if len(parts) > 1 {
		body = make([]byte, 0, size)
		for _, p := range parts {
			body = append(body, p.data...)
		}
	}
	o := &object{Object: Object{
		Key: u.key, Size: size, ETag: multipartETag(parts), Header: u.header, Metadata: u.metadata,
		Modified: u.begun, Parts: len(parts), Body: body,
	}}
	if err := c.objectChecksum(u, o, parts); err != nil {
		return nil, err
	}
	return o, nil
}

// objectChecksum gives o its checksum and compares it with the one that
// CompleteMultipartUpload may carry.
func (c *Call) objectChecksum(u *upload, o *object, parts []*part) *Error {
	claimed, err := c.sent()
	if err != nil {
		return err
	}
	sumType := c.Header.Get("X-Amz-Checksum-Type")
	if u.algo != "" && sumType != "" && sumType != u.sumType {
		return invalidRequest("The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", u.sumType)
	}
	algo := u.algo
	o.sumType = u.sumType
	if algo == "" {
		if claimed.algo == "" {
			return nil
		}
		// Nothing was declared: the checksum can only be that of the whole.
		algo, o.sumType = claimed.algo, checksumFull
	}
	if claimed.algo != "" && claimed.algo != algo {
		return invalidRequest("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
			strings.ToLower(algo), strings.ToLower(claimed.algo))
	}
	var value string
	if o.sumType == checksumFull {
		value = sum(algo, o.Body)
	} else if value, err = compositeSum(algo, parts); err != nil {
		return err
	}
	// The "-N" of a composite checksum may be left out in the request.
	if claimed.value != "" && claimed.value != value && claimed.value+"-"+strconv.Itoa(len(parts)) != value {
		return errorf(http.StatusBadRequest, "BadDigest",
			"The %s you specified did not match the calculated checksum: %s, calculated %s", algo, claimed.value, value)
	}
	o.sum = checksum{algo: algo, value: value}
	return nil
}

// fingerprint tells one list of parts from another.
func fingerprint(parts []completePart) string {
	var text strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&text, "%d %s\n", p.PartNumber, strings.Trim(p.ETag, `"`))
	}
	return etag([]byte(text.String()))
}

// maxFinished is how many completed uploads are remembered.
const maxFinished = 10_000

// finishedLog remembers the answers of CompleteMultipartUpload. It is guarded by
// Server.mu.
type finishedLog struct {
	byID  map[string]finishedUpload
	order []string // a ring once it is full
	next  int
}

type finishedUpload struct {
	bucket, key, list string
	answer            *answer
}

func (l *finishedLog) add(c *Call, list string, a *answer) {
	if l.byID == nil {
		l.byID = make(map[string]finishedUpload)
	}
	if len(l.order) < maxFinished {
		l.order = append(l.order, c.UploadID)
	} else {
		delete(l.byID, l.order[l.next])
		l.order[l.next] = c.UploadID
		l.next = (l.next + 1) % maxFinished
	}
	l.byID[c.UploadID] = finishedUpload{c.Bucket, c.Key, list, a}
}

// find is the answer to the same request, nil if there was none.
func (l *finishedLog) find(c *Call, list string) *answer {
	f, ok := l.byID[c.UploadID]
	if !ok || f.bucket != c.Bucket || f.key != c.Key || f.list != list {
		return nil
	}
	return f.answer
}
