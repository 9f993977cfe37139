package s3test

import (
	"encoding/base64"
	"encoding/xml"
	"net/url"
	"strconv"
	"strings"
)

// maxKeys is the largest page of every listing, as in S3.
const maxKeys = 1000

// pageSize reads a query such as max-keys.
func pageSize(q url.Values, name string) (int, *Error) {
	v := q.Get(name)
	if v == "" {
		return maxKeys, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0, invalidArgument("Argument %s must be an integer between 0 and 2147483647: %q", name, v)
	}
	return min(n, maxKeys), nil
}

// encoder is what encoding-type asks for.
func encoder(q url.Values) (func(string) string, *Error) {
	switch v := q.Get("encoding-type"); v {
	case "":
		return func(s string) string { return s }, nil
	case "url":
		// S3 leaves slashes as they are.
		return func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/") }, nil
	default:
		return nil, invalidArgument("Invalid Encoding Method specified in Request: %q", v)
	}
}

// commonPrefix is the group of key under a delimiter, "" if it is in none.
func commonPrefix(key, prefix, delimiter string) string {
	if delimiter == "" {
		return ""
	}
	i := strings.Index(key[len(prefix):], delimiter)
	if i < 0 {
		return ""
	}
	return key[:len(prefix)+i+len(delimiter)]
}

type listObjectsResult struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                string
	Delimiter             string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	KeyCount              int
	MaxKeys               int
	IsTruncated           bool
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	Contents              []listedObject
	CommonPrefixes        []listedPrefix
}

type listedObject struct {
	Key               string
	LastModified      string
	ETag              string
	ChecksumAlgorithm string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
	Size              int64
	StorageClass      string
	Owner             *owner
}

type listedPrefix struct{ Prefix string }

// listObjects is ListObjectsV2. Each page is one instant; several are not.
func (s *Server) listObjects(c *Call) *answer {
	q := c.Query
	limit, err := pageSize(q, "max-keys")
	if err != nil {
		return failed(err)
	}
	encode, err := encoder(q)
	if err != nil {
		return failed(err)
	}
	prefix, delimiter := q.Get("prefix"), q.Get("delimiter")
	after := q.Get("start-after")
	token := q.Get("continuation-token")
	if q.Has("continuation-token") {
		raw, bad := base64.URLEncoding.DecodeString(token)
		if bad != nil || len(raw) == 0 {
			return failed(invalidArgument("The continuation token provided is incorrect: %q", token))
		}
		after = string(raw)
	}
	result := listObjectsResult{
		Name: c.Bucket, Prefix: encode(prefix), Delimiter: encode(delimiter), StartAfter: encode(q.Get("start-after")),
		EncodingType: q.Get("encoding-type"), MaxKeys: limit, ContinuationToken: token,
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, err := s.lookup(c.Bucket)
	if err != nil {
		return failed(err)
	}
	i := b.from(prefix)
	if after != "" {
		i = max(i, b.from(after))
	}
	last := after
	for i < len(b.keys) && strings.HasPrefix(b.keys[i], prefix) {
		key := b.keys[i]
		group := commonPrefix(key, prefix, delimiter)
		switch {
		case key == after, group != "" && group == after: // before this page
			i++
			continue
		case result.KeyCount == limit:
			if limit > 0 { // max-keys=0 is never truncated in S3
				result.IsTruncated = true
				result.NextContinuationToken = base64.URLEncoding.EncodeToString([]byte(last))
			}
			return document(result)
		case group != "":
			result.CommonPrefixes = append(result.CommonPrefixes, listedPrefix{encode(group)})
			last = group
			for i < len(b.keys) && strings.HasPrefix(b.keys[i], group) {
				i++
			}
		default:
			result.Contents = append(result.Contents, listed(b.objects[key], encode, q))
			last = key
			i++
		}
		result.KeyCount++
	}
	return document(result)
}

func listed(o *object, encode func(string) string, q url.Values) listedObject {
	entry := listedObject{
		Key: encode(o.Key), LastModified: isoTime(o.Modified), ETag: o.ETag, Size: o.Size,
		StorageClass: o.Header.Get("X-Amz-Storage-Class"), ChecksumAlgorithm: o.sum.algo,
	}
	if o.sum.algo != "" {
		entry.ChecksumType = o.sumType
	}
	if entry.StorageClass == "" {
		entry.StorageClass = "STANDARD"
	}
	if q.Get("fetch-owner") == "true" {
		account := theOwner()
		entry.Owner = &account
	}
	return entry
}
