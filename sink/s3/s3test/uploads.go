package s3test

import (
	"encoding/xml"
	"strconv"
)

type listUploadsResult struct {
	XMLName            xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListMultipartUploadsResult"`
	Bucket             string
	KeyMarker          string
	UploadIdMarker     string
	NextKeyMarker      string `xml:",omitempty"`
	NextUploadIdMarker string `xml:",omitempty"`
	Prefix             string
	Delimiter          string `xml:",omitempty"`
	EncodingType       string `xml:",omitempty"`
	MaxUploads         int
	IsTruncated        bool
	Upload             []listedUpload
	CommonPrefixes     []listedPrefix
}

type listedUpload struct {
	Key               string
	UploadId          string
	Initiator         owner
	Owner             owner
	StorageClass      string
	Initiated         string
	ChecksumAlgorithm string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
}

// listUploads is ListMultipartUploads. With upload-id-marker it goes on after
// that upload of key-marker, without it after all uploads of key-marker.
func (s *Server) listUploads(c *Call) *answer {
	q := c.Query
	limit, err := pageSize(q, "max-uploads")
	if err != nil {
		return failed(err)
	}
	encode, err := encoder(q)
	if err != nil {
		return failed(err)
	}
	prefix, delimiter := q.Get("prefix"), q.Get("delimiter")
	afterKey, afterID := q.Get("key-marker"), q.Get("upload-id-marker")
	result := listUploadsResult{
		Bucket: c.Bucket, KeyMarker: encode(afterKey), UploadIdMarker: afterID, Prefix: encode(prefix),
		Delimiter: encode(delimiter), EncodingType: q.Get("encoding-type"), MaxUploads: limit,
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, err := s.lookup(c.Bucket)
	if err != nil {
		return failed(err)
	}
	group, count := "", 0
	nextKey, nextID := "", ""
	for _, u := range b.sortedUploads(prefix) {
		g := commonPrefix(u.key, prefix, delimiter)
		switch {
		case g != "" && (g == group || g <= afterKey):
			continue
		case g == "" && (u.key < afterKey || u.key == afterKey && (afterID == "" || u.id <= afterID)):
			continue
		}
		if count == limit {
			if limit > 0 {
				result.IsTruncated = true
				result.NextKeyMarker, result.NextUploadIdMarker = encode(nextKey), nextID
			}
			return document(result)
		}
		count++
		if g != "" {
			group = g
			nextKey, nextID = g, ""
			result.CommonPrefixes = append(result.CommonPrefixes, listedPrefix{encode(g)})
			continue
		}
		nextKey, nextID = u.key, u.id
		result.Upload = append(result.Upload, listedUpload{
			Key: encode(u.key), UploadId: u.id, Initiator: theOwner(), Owner: theOwner(), StorageClass: "STANDARD",
			Initiated: isoTime(u.begun), ChecksumAlgorithm: u.algo, ChecksumType: u.sumType,
		})
	}
	return document(result)
}

type listPartsResult struct {
	XMLName              xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
	Bucket               string
	Key                  string
	UploadId             string
	Initiator            owner
	Owner                owner
	StorageClass         string
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	IsTruncated          bool
	ChecksumAlgorithm    string `xml:",omitempty"`
	ChecksumType         string `xml:",omitempty"`
	Part                 []listedPart
}

type listedPart struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int64
	checksums
}

// checksums are the elements of one checksum in a document.
type checksums struct {
	ChecksumCRC32     string `xml:",omitempty"`
	ChecksumCRC32C    string `xml:",omitempty"`
	ChecksumCRC64NVME string `xml:",omitempty"`
	ChecksumSHA1      string `xml:",omitempty"`
	ChecksumSHA256    string `xml:",omitempty"`
	ChecksumSHA512    string `xml:",omitempty"`
	ChecksumMD5       string `xml:",omitempty"`
}

// field is the element of an algorithm, nil if it is unknown.
func (c *checksums) field(algo string) *string {
	switch algo {
	case "CRC32":
		return &c.ChecksumCRC32
	case "CRC32C":
		return &c.ChecksumCRC32C
	case "CRC64NVME":
		return &c.ChecksumCRC64NVME
	case "SHA1":
		return &c.ChecksumSHA1
	case "SHA256":
		return &c.ChecksumSHA256
	case "SHA512":
		return &c.ChecksumSHA512
	case "MD5":
		return &c.ChecksumMD5
	}
	return nil
}

// newChecksums writes sum, which may be none.
func newChecksums(sum checksum) checksums {
	var c checksums
	if field := c.field(sum.algo); field != nil {
		*field = sum.value
	}
	return c
}

func (s *Server) listParts(c *Call) *answer {
	q := c.Query
	limit, err := pageSize(q, "max-parts")
	if err != nil {
		return failed(err)
	}
	after := 0
	if v := q.Get("part-number-marker"); v != "" {
		n, bad := strconv.Atoi(v)
		if bad != nil || n < 0 {
			return failed(invalidArgument("Argument part-number-marker must be an integer between 0 and 2147483647: %q", v))
		}
		after = n
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, u, err := s.lookupUpload(c)
	if err != nil {
		return failed(err)
	}
	result := listPartsResult{
		Bucket: c.Bucket, Key: c.Key, UploadId: u.id, Initiator: theOwner(), Owner: theOwner(), StorageClass: "STANDARD",
		PartNumberMarker: after, MaxParts: limit, ChecksumAlgorithm: u.algo, ChecksumType: u.sumType,
	}
	for _, p := range u.sortedParts() {
		if p.n <= after {
			continue
		}
		if len(result.Part) == limit {
			result.IsTruncated = limit > 0
			break
		}
		result.NextPartNumberMarker = p.n
		result.Part = append(result.Part, listedPart{
			PartNumber: p.n, LastModified: isoTime(p.modified), ETag: p.etag, Size: int64(len(p.data)),
			checksums: newChecksums(p.sum),
		})
	}
	return document(result)
}
