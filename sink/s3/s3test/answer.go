package s3test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// answer is what goes back to the client.
type answer struct {
	status int
	header http.Header
	body   []byte
	length int64 // Content-Length of an answer to HEAD
	err    *Error
}

func failed(err *Error) *answer { return &answer{status: err.Status, err: err, header: http.Header{}} }

func empty(status int) *answer { return &answer{status: status, header: http.Header{}} }

// document answers 200 with v as XML.
func document(v any) *answer {
	text, err := xml.Marshal(v)
	if err != nil {
		return failed(internalError("s3test: answer does not encode: %v", err))
	}
	a := empty(http.StatusOK)
	a.header.Set("Content-Type", "application/xml")
	a.body = append([]byte(xml.Header), text...)
	return a
}

// errorDocument is the body of an error answer.
type errorDocument struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Resource  string
	RequestID string `xml:"RequestId"`
	HostID    string `xml:"HostId"`
}

// write sends a. It panics with http.ErrAbortHandler where the connection is cut.
func (s *Server) write(w http.ResponseWriter, r *http.Request, c *Call, a *answer) {
	id := fmt.Sprintf("S3TEST%010d", s.reqSeq.Add(1))
	header := w.Header()
	maps.Copy(header, a.header)
	header.Set("X-Amz-Request-Id", id)
	header.Set("X-Amz-Id-2", "s3test")
	header.Set("Server", "AmazonS3")
	header.Set("Date", s.cfg.Now().UTC().Format(http.TimeFormat))
	body := a.body
	if a.err != nil && a.status != http.StatusNotModified {
		s.countMu.Lock()
		s.refused[a.err.Code]++
		s.countMu.Unlock()
		header.Set("Content-Type", "application/xml")
		text, err := xml.Marshal(errorDocument{
			Code: a.err.Code, Message: a.err.Message, RequestID: id, HostID: "s3test",
			Resource: strings.TrimSuffix("/"+c.Bucket+"/"+c.Key, "/"),
		})
		if err != nil { // cannot be: the document is two levels of text
			panic(http.ErrAbortHandler)
		}
		body = append([]byte(xml.Header), text...)
	}
	switch {
	case r.Method == http.MethodHead:
		body = nil
		if a.err == nil {
			header.Set("Content-Length", strconv.FormatInt(a.length, 10))
		}
	case a.status != http.StatusNoContent && a.status != http.StatusNotModified:
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(a.status)
	if len(body) > 0 {
		s.writeBody(w, r, c, body)
	}
}

// pieceSize is how much of a body goes out at a time under SlowBody.
const pieceSize = 64 << 10

// writeBody sends the body as the fault of c, if any, wants it.
func (s *Server) writeBody(w http.ResponseWriter, r *http.Request, c *Call, body []byte) {
	size := len(body)
	if c.pieceDelay > 0 {
		size = pieceSize
	}
	if c.cutBody {
		body = body[:len(body)/2]
	}
	for piece := range slices.Chunk(body, max(size, 1)) {
		if c.pieceDelay > 0 {
			if err := sleep(r.Context(), c.pieceDelay); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
		if _, err := w.Write(piece); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	if c.cutBody {
		// Without the flush a short body could vanish whole in a buffer.
		if err := http.NewResponseController(w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			panic(http.ErrAbortHandler)
		}
		panic(http.ErrAbortHandler)
	}
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
