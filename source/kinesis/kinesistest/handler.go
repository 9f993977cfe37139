package kinesistest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	targetPrefix = "Kinesis_20131202."
	contentType  = "application/x-amz-json-1.1"

	// maxRequest bounds a request's body: 10 MiB of records in base64, and the rest
	// of 500 entries with room for escapes.
	maxRequest = 20 << 20
)

// buffer is pooled memory.
type buffer struct{ b []byte }

// call is one request on its way.
type call struct {
	op     string
	now    time.Time
	req    request
	event  Event
	struck *Fault // the fault that struck the call, nil if none

	// shards are the shards that the request is about, and refused, for PutRecords,
	// those whose records a fault refuses.
	shards  []string
	refused map[string]*Error

	// iter is the iterator of GetRecords, if hasIter.
	iter    iterator
	hasIter bool

	out  *buffer
	push *pushing // the events that are the answer, nil for other operations
}

// answer writes an answer for which speed does not matter.
func (c *call) answer(o object) *Error {
	b, err := json.Marshal(o)
	if err != nil {
		return asError(err)
	}
	c.out.b = append(c.out.b[:0], b...)
	return nil
}

// ServeHTTP serves one request. To cut a connection, as a fault may ask for, it
// panics with http.ErrAbortHandler, which net/http expects.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := s.requests.Add(1)
	now := s.config.Now()
	h := w.Header()
	h.Set("Date", now.UTC().Format(http.TimeFormat))
	h.Set("Content-Type", contentType)
	h.Set("X-Amzn-Requestid", fmt.Sprintf("00000000-0000-4000-8000-%012x", id))

	in := s.bodies.Get().(*buffer)
	defer s.bodies.Put(in)
	out := s.answers.Get().(*buffer)
	defer s.answers.Put(out)
	out.b = out.b[:0]
	c := &call{now: now, out: out}
	c.event.Time = now

	failed := s.receive(c, in, r)
	s.arrive(c, failed == nil)
	if c.struck != nil {
		r.Body = io.NopCloser(bytes.NewReader(in.b))
		var done bool
		if failed, done = s.before(c, w, r); done {
			return
		}
	}
	if failed == nil {
		failed = s.serve(c)
	}
	status := http.StatusOK
	if failed != nil {
		status = failed.Status
		c.event.Code = failed.Code
		if err := c.answer(object{"__type": failed.Code, "message": failed.Message}); err != nil {
			status = http.StatusInternalServerError
		}
	}
	s.tell(c)
	if failed == nil && c.push != nil {
		c.push.run(w, r)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(out.b)))
	if c.struck != nil && s.after(c, status, w, r) {
		return
	}
	w.WriteHeader(status)
	if _, err := w.Write(out.b); err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
}

// serve runs the operation.
func (s *Server) serve(c *call) *Error {
	op, known := s.ops[c.op]
	if !known {
		return failure(codeUnknownOperation, "kinesistest does not serve the operation %q.", c.op)
	}
	return op(s, c)
}

func (s *Server) tell(c *call) {
	if s.config.OnEvent != nil {
		s.config.OnEvent(c.event)
	}
}

// receive reads and decodes the request, and finds out what it is about.
func (s *Server) receive(c *call, in *buffer, r *http.Request) *Error {
	target, known := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	if known {
		c.op = target
		c.event.Op = target
	}
	var err error
	if in.b, err = readAll(in.b[:0], http.MaxBytesReader(nil, r.Body, maxRequest)); err != nil {
		var tooLarge *http.MaxBytesError
		if !errors.As(err, &tooLarge) {
			panic(http.ErrAbortHandler) // the client is gone
		}
		return &Error{Code: "RequestEntityTooLargeException", Status: http.StatusRequestEntityTooLarge,
			Message: fmt.Sprintf("The request has more than %d bytes.", maxRequest)}
	}
	if !known || r.Method != http.MethodPost {
		return failure(codeUnknownOperation, "kinesistest serves POST with a header X-Amz-Target: %s<operation>.", targetPrefix)
	}
	if strings.Contains(r.Header.Get("Content-Type"), "cbor") {
		return failure(codeSerialization, "kinesistest speaks %s, not CBOR: set AWS_CBOR_DISABLE=true.", contentType)
	}
	if err := json.Unmarshal(in.b, &c.req); err != nil {
		return failure(codeSerialization, "%v", err)
	}
	s.identify(c)
	return nil
}

// identify fills in the stream and the shards, as far as the request names them.
// What it cannot find out, the operation complains about.
func (s *Server) identify(c *call) {
	r := &c.req
	switch c.op {
	case "ListStreams", "DescribeLimits", "DescribeAccountSettings", "UpdateAccountSettings":
		return
	case "GetRecords":
		c.iter, c.hasIter = parseIterator(r.ShardIterator)
		if st := s.streamByID(c.iter.stream); c.hasIter && st != nil {
			c.event.Stream = st.name
			c.about(shardName(c.iter.shard))
		}
		return
	case "ListShards":
		if t, ok := parseNextToken(r.NextToken, shardsMark); ok {
			if st := s.streamByID(t.stream); st != nil {
				c.event.Stream = st.name
			}
			return
		}
	case "GetShardIterator":
		c.about(r.ShardId)
	case "SplitShard":
		c.about(r.ShardToSplit)
	case "MergeShards":
		c.about(r.ShardToMerge)
	case "SubscribeToShard":
		c.about(r.ShardId)
	}
	if r.ResourceARN != "" {
		name, _, _ := strings.Cut(strings.TrimPrefix(r.ResourceARN, s.arn("")), "/consumer/")
		c.event.Stream = name
		return
	}
	if r.ConsumerARN != "" {
		if name, err := s.nameOfConsumer(r.ConsumerARN); err == nil {
			c.event.Stream = name
		}
		return
	}
	name, err := s.nameOf(r)
	if err != nil {
		return
	}
	c.event.Stream = name
	switch c.op {
	case "PutRecord":
		for _, shard := range s.shardsOf(name, c.now, []entry{r.entry}) {
			c.about(shard)
		}
	case "PutRecords":
		c.shards = s.shardsOf(name, c.now, r.Records)
	}
}

// about notes the only shard that a request is about.
func (c *call) about(shard string) {
	if shard != "" {
		c.shards = []string{shard}
		c.event.Shard = shard
	}
}

// shardsOf lists the shards that records would go to, each once. It is empty if
// that cannot be said.
func (s *Server) shardsOf(name string, now time.Time, entries []entry) (names []string) {
	st, err := s.lookup(name, now)
	if err != nil {
		return nil
	}
	st.mu.RLock()
	defer st.mu.RUnlock()
	if st.distribution == distributionAuto {
		return nil
	}
	seen := map[*shard]bool{}
	for i := range entries {
		h, err := entries[i].hash()
		if err != nil {
			return nil
		}
		if sh := st.owner(h); !seen[sh] {
			seen[sh] = true
			names = append(names, sh.name)
		}
	}
	return names
}

// readAll is io.ReadAll into memory that is used again.
func readAll(b []byte, r io.Reader) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}
