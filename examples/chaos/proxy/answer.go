package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Answer is what a service says that has too much to do: an HTTP answer.
type Answer struct {
	Status int
	Type   string // Content-Type
	Body   string
}

// Kinesis refuses a request because of its rate (API reference, GetRecords, Errors).
func Kinesis() Answer {
	return Answer{http.StatusBadRequest, "application/x-amz-json-1.1",
		`{"__type":"ProvisionedThroughputExceededException","message":"Rate exceeded for shard."}`}
}

// DynamoDB refuses a request because of its rate (API reference, Common Errors).
func DynamoDB() Answer {
	return Answer{http.StatusBadRequest, "application/x-amz-json-1.0",
		`{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"Rate of requests exceeds the allowed throughput."}`}
}

// S3 refuses a request because of its rate (API reference, Error Responses, List of
// error codes).
func S3() Answer {
	return Answer{http.StatusServiceUnavailable, "application/xml",
		`<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`}
}

// answerWithin bounds the reading of a request and the writing of its answer.
const answerWithin = 5 * time.Second

// serve reads one request, answers it and ends the connection.
func (a Answer) serve(c net.Conn) {
	if err := c.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return // closed
	}
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return // no request of HTTP, or none any more
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return
	}
	resp := http.Response{
		StatusCode: a.Status, ProtoMajor: 1, ProtoMinor: 1, Request: req, Close: true,
		Header:        http.Header{"Content-Type": {a.Type}, "X-Amzn-Requestid": {strconv.FormatInt(time.Now().UnixNano(), 36)}},
		ContentLength: int64(len(a.Body)), Body: io.NopCloser(strings.NewReader(a.Body)),
	}
	if err := resp.Write(c); err != nil {
		return
	}
	// The client reads to the end before the connection is reset behind it.
	if t, ok := c.(*net.TCPConn); ok && t.CloseWrite() == nil {
		if _, err := io.Copy(io.Discard, t); err != nil {
			return
		}
	}
}
