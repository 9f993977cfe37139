package s3test

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strconv"
	"strings"
)

// checksum is an x-amz-checksum-* value. The zero value is none.
type checksum struct {
	algo  string // "CRC32", ...
	value string // base64; "-N" follows in a composite one of N parts
}

const (
	checksumComposite = "COMPOSITE"
	checksumFull      = "FULL_OBJECT"
)

// algorithms are the checksums that the standard library has, in the order in
// which S3 documents them. The XXHASH family is not among them.
var algorithms = []string{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5"}

// The polynomial of CRC-64/NVME, reversed, as crc64.MakeTable wants it.
var nvme = crc64.MakeTable(0x9a6c_9329_ac4b_c9b5)

// newHash returns the hash of an algorithm, nil if it is unknown.
func newHash(algo string) hash.Hash {
	switch algo {
	case "CRC32":
		return crc32.NewIEEE()
	case "CRC32C":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "CRC64NVME":
		return crc64.New(nvme)
	case "SHA1":
		return sha1.New()
	case "SHA256":
		return sha256.New()
	case "SHA512":
		return sha512.New()
	case "MD5":
		return md5.New()
	}
	return nil
}

// headerName is the header of an algorithm's checksum.
func headerName(algo string) string {
	return http.CanonicalHeaderKey("x-amz-checksum-" + strings.ToLower(algo))
}

// sum computes a checksum in base64. The algorithm is known.
func sum(algo string, data []byte) string {
	h := newHash(algo)
	h.Write(data)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// sent is the one x-amz-checksum-* of a request, in a header or a trailer, not
// yet compared.
func (c *Call) sent() (checksum, *Error) {
	var found checksum
	for name := range c.Header {
		suffix, ok := strings.CutPrefix(name, "X-Amz-Checksum-")
		if !ok || suffix == "Algorithm" || suffix == "Type" || suffix == "Mode" {
			continue
		}
		if newHash(strings.ToUpper(suffix)) == nil {
			return checksum{}, notImplemented(name)
		}
	}
	for _, algo := range algorithms {
		value := c.Header.Get(headerName(algo))
		if value == "" {
			value = c.trailers[strings.ToLower(headerName(algo))]
		}
		if value == "" {
			continue
		}
		if found.algo != "" {
			return checksum{}, invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		found = checksum{algo: algo, value: value}
	}
	if found.algo == "" && c.Header.Get("X-Amz-Sdk-Checksum-Algorithm") != "" {
		return checksum{}, invalidRequest("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	}
	return found, nil
}

// verify compares the body with every checksum that came with it and returns the
// x-amz-checksum-* one.
func (c *Call) verify() (checksum, *Error) {
	if err := c.verifyPayload(); err != nil {
		return checksum{}, err
	}
	claimed, err := c.sent()
	if err != nil || claimed.algo == "" {
		return claimed, err
	}
	raw, badBase64 := base64.StdEncoding.DecodeString(claimed.value)
	if badBase64 != nil || len(raw) != newHash(claimed.algo).Size() {
		return checksum{}, invalidRequest("Value for %s header is invalid.", strings.ToLower(headerName(claimed.algo)))
	}
	if actual := sum(claimed.algo, c.body); actual != claimed.value {
		return checksum{}, errorf(http.StatusBadRequest, "BadDigest",
			"The %s you specified did not match the calculated checksum: %s, calculated %s", claimed.algo, claimed.value, actual)
	}
	return claimed, nil
}

// verifyPayload compares the body with x-amz-content-sha256 and Content-MD5.
func (c *Call) verifyPayload() *Error {
	switch payload := c.Header.Get("X-Amz-Content-Sha256"); {
	case payload == "", payload == "UNSIGNED-PAYLOAD", strings.HasPrefix(payload, "STREAMING-"):
	case len(payload) != 2*sha256.Size:
		return invalidArgument("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-* or a valid sha256 value.")
	default:
		digest := sha256.Sum256(c.body)
		if !strings.EqualFold(hex.EncodeToString(digest[:]), payload) {
			return errorf(http.StatusBadRequest, "XAmzContentSHA256Mismatch",
				"The provided 'x-amz-content-sha256' header does not match what was computed.")
		}
	}
	claimed := c.Header.Get("Content-Md5")
	if claimed == "" {
		return nil
	}
	if raw, err := base64.StdEncoding.DecodeString(claimed); err != nil || len(raw) != md5.Size {
		return errorf(http.StatusBadRequest, "InvalidDigest", "The Content-MD5 you specified was invalid.")
	}
	if actual := sum("MD5", c.body); actual != claimed {
		return errorf(http.StatusBadRequest, "BadDigest",
			"The Content-MD5 you specified did not match what we received: %s, calculated %s", claimed, actual)
	}
	return nil
}

// verifyStored is verify for bodies that are stored: it knows RequireChecksums.
func (c *Call) verifyStored() (checksum, *Error) {
	claimed, err := c.verify()
	if err == nil && c.srv.cfg.RequireChecksums && claimed.algo == "" && c.Header.Get("Content-Md5") == "" {
		err = invalidRequest("Content-MD5 OR x-amz-checksum- HTTP header is required for %s requests", c.Op)
	}
	return claimed, err
}

// verifyDocument is verify for request documents that S3 takes only with a
// checksum.
func (c *Call) verifyDocument() *Error {
	claimed, err := c.verify()
	if err == nil && claimed.algo == "" && c.Header.Get("Content-Md5") == "" {
		err = invalidRequest("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	return err
}

// etag is the quoted MD5 of a body.
func etag(data []byte) string {
	digest := md5.Sum(data)
	return `"` + hex.EncodeToString(digest[:]) + `"`
}

// multipartETag is the MD5 of the parts' MD5s and their number.
func multipartETag(parts []*part) string {
	h := md5.New()
	for _, p := range parts {
		digest := md5.Sum(p.data)
		h.Write(digest[:])
	}
	return `"` + hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts)) + `"`
}

// compositeSum is the checksum of the parts' checksums, all of one algorithm.
func compositeSum(algo string, parts []*part) (string, *Error) {
	h := newHash(algo)
	for _, p := range parts {
		raw, err := base64.StdEncoding.DecodeString(p.sum.value)
		if err != nil || p.sum.algo != algo {
			return "", invalidRequest("Part %d has no %s checksum", p.n, algo)
		}
		h.Write(raw)
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts)), nil
}
