package s3test

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strings"
)

type createUploadResult struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
	Bucket   string
	Key      string
	UploadId string
}

func (s *Server) createUpload(c *Call) *answer {
	header, metadata, err := c.describe()
	if err != nil {
		return failed(err)
	}
	algo, sumType, err := declaredChecksum(c.Header)
	if err != nil {
		return failed(err)
	}
	if err := s.lake.check(c.Key); err != nil {
		return failed(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.lookup(c.Bucket)
	if err != nil {
		return failed(err)
	}
	id, err := s.newUploadID()
	if err != nil {
		return failed(err)
	}
	b.uploads[id] = &upload{
		key: c.Key, id: id, begun: s.cfg.Now(), metadata: metadata, header: header,
		algo: algo, sumType: sumType, parts: make(map[int]*part),
	}
	a := document(createUploadResult{Bucket: c.Bucket, Key: c.Key, UploadId: id})
	if algo != "" {
		a.header.Set("X-Amz-Checksum-Algorithm", algo)
		a.header.Set("X-Amz-Checksum-Type", sumType)
	}
	setEncryption(a.header, header)
	return a
}

// declaredChecksum reads the checksum algorithm and type of
// CreateMultipartUpload. Which go together is the table of
// docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html.
func declaredChecksum(h http.Header) (algo, sumType string, err *Error) {
	algo = strings.ToUpper(h.Get("X-Amz-Checksum-Algorithm"))
	sumType = strings.ToUpper(h.Get("X-Amz-Checksum-Type"))
	if algo == "" {
		if sumType != "" {
			return "", "", invalidRequest("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return "", "", nil
	}
	if newHash(algo) == nil {
		return "", "", notImplemented("x-amz-checksum-algorithm: " + algo)
	}
	crc := strings.HasPrefix(algo, "CRC")
	switch sumType {
	case "":
		sumType = checksumComposite
		if algo == "CRC64NVME" {
			sumType = checksumFull
		}
	case checksumComposite:
		if algo == "CRC64NVME" {
			return "", "", invalidRequest("The COMPOSITE checksum type cannot be used with the crc64nvme checksum algorithm.")
		}
	case checksumFull:
		if !crc {
			return "", "", invalidRequest("The FULL_OBJECT checksum type cannot be used with the %s checksum algorithm.", strings.ToLower(algo))
		}
	default:
		return "", "", invalidRequest("Value for x-amz-checksum-type header is invalid.")
	}
	return algo, sumType, nil
}

func (s *Server) uploadPart(c *Call) *answer {
	claimed, err := c.verifyStored()
	if err != nil {
		return failed(err)
	}
	p := &part{n: c.Part, data: c.body, etag: etag(c.body), sum: claimed}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, u, err := s.lookupUpload(c)
	if err != nil {
		return failed(err)
	}
	if err := s.checkPartSum(u, claimed); err != nil {
		return failed(err)
	}
	p.modified = s.cfg.Now()
	if old := u.parts[p.n]; old != nil {
		s.memory.release(int64(len(old.data)))
	}
	u.parts[p.n] = p
	u.gen++
	c.take()
	a := empty(http.StatusOK)
	a.header.Set("Etag", p.etag)
	if claimed.algo != "" {
		a.header.Set(headerName(claimed.algo), claimed.value)
	}
	setEncryption(a.header, u.header)
	return a
}

// checkPartSum compares the algorithm of a part's checksum with the declared
// one. A part of a FULL_OBJECT upload may come without.
func (s *Server) checkPartSum(u *upload, claimed checksum) *Error {
	switch {
	case claimed.algo == u.algo:
		return nil
	case claimed.algo == "" && u.sumType == checksumFull:
		return nil
	case u.algo == "" && !s.cfg.StrictChecksums:
		return nil
	}
	name := func(algo string) string {
		if algo == "" {
			return "null"
		}
		return strings.ToLower(algo)
	}
	return invalidRequest("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
		name(u.algo), name(claimed.algo))
}

// abortUpload answers 404 for an upload that is gone, also one that was aborted.
func (s *Server) abortUpload(c *Call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, u, err := s.lookupUpload(c)
	if err != nil {
		return failed(err)
	}
	s.memory.release(u.bytes())
	delete(b.uploads, u.id)
	return empty(http.StatusNoContent)
}

// sortedUploads are the uploads of keys with a prefix, by key, then by id, which
// is the order they were begun. Server.mu is held.
func (b *bucket) sortedUploads(prefix string) []*upload {
	var uploads []*upload
	for _, u := range b.uploads {
		if strings.HasPrefix(u.key, prefix) {
			uploads = append(uploads, u)
		}
	}
	slices.SortFunc(uploads, func(x, y *upload) int {
		if d := strings.Compare(x.key, y.key); d != 0 {
			return d
		}
		return strings.Compare(x.id, y.id)
	})
	return uploads
}

// sortedParts are the parts by number. Server.mu is held.
func (u *upload) sortedParts() []*part {
	parts := make([]*part, 0, len(u.parts))
	for _, p := range u.parts {
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(x, y *part) int { return x.n - y.n })
	return parts
}
