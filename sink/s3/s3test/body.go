package s3test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const (
	maxXML   = 8 << 20  // bytes of a request document; 10,000 parts take about 2 MB
	maxPut   = 5 << 30  // bytes of one PutObject or UploadPart, as in S3
	maxDrain = 64 << 20 // bytes read of a body that was refused
	maxParts = 10_000
)

// errIncomplete is the answer to a body that ends early.
func errIncomplete(err error) *Error {
	return errorf(http.StatusBadRequest, "IncompleteBody",
		"You did not provide the number of bytes specified by the Content-Length HTTP header: %v", err)
}

// readBody reads the whole body of r into c, without aws-chunked framing. What
// is wrong with it goes to c.bodyErr. The error is that of a client that went
// away.
func (s *Server) readBody(r *http.Request, c *Call) error {
	c.bodyErr = s.readInto(r, c)
	// The rest is read so that a client that is still sending hears the answer.
	if _, err := io.Copy(io.Discard, io.LimitReader(r.Body, maxDrain)); err != nil && c.bodyErr == nil {
		c.bodyErr = errIncomplete(err)
	}
	if err := r.Context().Err(); err != nil {
		return err
	}
	return nil
}

func (s *Server) readInto(r *http.Request, c *Call) *Error {
	stores := c.Op == "PutObject" || c.Op == "UploadPart"
	payload := r.Header.Get("X-Amz-Content-Sha256")
	framed := strings.HasPrefix(payload, "STREAMING-") || hasToken(r.Header.Get("Content-Encoding"), "aws-chunked")
	if s.cfg.NoTrailers && (strings.HasSuffix(payload, "-TRAILER") || r.Header.Get("X-Amz-Trailer") != "") {
		return notImplemented("x-amz-content-sha256: " + payload)
	}
	size := r.ContentLength
	if framed {
		var err error
		if size, err = strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64); err != nil || size < 0 {
			return errorf(http.StatusLengthRequired, "MissingContentLength",
				"You must provide the x-amz-decoded-content-length HTTP header.")
		}
	}
	if !stores {
		if size > maxXML {
			return errorf(http.StatusBadRequest, "MaxMessageLengthExceeded", "Your request was too big: %d bytes", size)
		}
		if size < 0 {
			return readUnknown(r, c)
		}
	}
	if size < 0 {
		return errorf(http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	}
	if size > maxPut {
		return errorf(http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size: %d bytes", size)
	}
	if err := s.memory.reserve(size); err != nil {
		return err
	}
	c.reserved.Store(size)
	c.body = make([]byte, size)
	c.Size = size
	if framed {
		var err *Error
		c.trailers, err = decodeChunked(r, c.body, payload)
		return err
	}
	if _, err := io.ReadFull(r.Body, c.body); err != nil {
		return errIncomplete(err)
	}
	return nil
}

// readUnknown reads a request document whose length was not given.
func readUnknown(r *http.Request, c *Call) *Error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxXML+1))
	if err != nil {
		return errIncomplete(err)
	}
	if len(body) > maxXML {
		return errorf(http.StatusBadRequest, "MaxMessageLengthExceeded", "Your request was too big: more than %d bytes", maxXML)
	}
	c.body, c.Size = body, int64(len(body))
	return nil
}

// decodeChunked reads aws-chunked framing into buf, which has the decoded
// length, and returns the trailers by lower-case name. A chunk is its length in
// hex, for signed payloads ";chunk-signature=" and a signature, CRLF, the data,
// CRLF; a chunk of length 0 ends the data; trailers follow, a line each
// (docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and
// sigv4-streaming-trailers.html). Signatures are not verified.
func decodeChunked(r *http.Request, buf []byte, payload string) (map[string]string, *Error) {
	in := bufio.NewReader(r.Body)
	signed := strings.HasPrefix(payload, "STREAMING-AWS4-")
	filled := 0
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, errIncomplete(err)
		}
		digits, extension, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ";")
		n, err := strconv.ParseUint(digits, 16, 32)
		if err != nil {
			return nil, invalidRequest("The chunk header %q is not a length in hex", digits)
		}
		if signed && !strings.HasPrefix(extension, "chunk-signature=") {
			return nil, invalidRequest("The chunk at byte %d has no chunk-signature", filled)
		}
		if n == 0 {
			break
		}
		if n > uint64(len(buf)-filled) {
			return nil, errIncomplete(fmt.Errorf("more than x-amz-decoded-content-length = %d bytes", len(buf)))
		}
		if _, err := io.ReadFull(in, buf[filled:filled+int(n)]); err != nil {
			return nil, errIncomplete(err)
		}
		filled += int(n)
		if crlf, err := in.ReadString('\n'); err != nil || crlf != "\r\n" {
			return nil, invalidRequest("The chunk that ends at byte %d is not followed by CRLF", filled)
		}
	}
	if filled != len(buf) {
		return nil, errIncomplete(fmt.Errorf("%d bytes, x-amz-decoded-content-length = %d", filled, len(buf)))
	}
	return readTrailers(r, in, signed)
}

// readTrailers reads what follows the last chunk and checks that it is what
// x-amz-trailer announced.
func readTrailers(r *http.Request, in io.Reader, signed bool) (map[string]string, *Error) {
	malformed := func(format string, args ...any) *Error {
		return errorf(http.StatusBadRequest, "MalformedTrailerError",
			"The request contained trailing data that was not well-formed or did not conform to our published schema: "+format, args...)
	}
	trailers := make(map[string]string)
	lines := bufio.NewScanner(io.LimitReader(in, 64<<10))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		if !found {
			return nil, malformed("%q", line)
		}
		trailers[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return nil, malformed("a line is too long")
		}
		return nil, errIncomplete(err)
	}
	announced := r.Header.Get("X-Amz-Trailer")
	if announced == "" {
		return trailers, nil
	}
	for name := range strings.SplitSeq(announced, ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); trailers[name] == "" {
			return nil, malformed("%s was announced and did not come", name)
		}
	}
	if signed && trailers["x-amz-trailer-signature"] == "" {
		return nil, malformed("x-amz-trailer-signature is missing")
	}
	return trailers, nil
}

// hasToken says whether a header that is a list has an element.
func hasToken(list, token string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(t), token) {
			return true
		}
	}
	return false
}
