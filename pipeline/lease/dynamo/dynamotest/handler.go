package dynamotest

import (
	"encoding/json/v2"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"

	jsonv1 "encoding/json"
)

// operation serves one kind of request, whose body it is given, with s.mu held.
type operation func(s *Server, c *call, body []byte) (any, *Error)

// op makes an operation of a function of a typed request.
func op[In any](f func(*Server, *call, *In) (any, *Error)) operation {
	return func(s *Server, c *call, body []byte) (any, *Error) {
		var in In
		if err := read(body, &in); err != nil {
			return nil, err
		}
		return f(s, c, &in)
	}
}

// read decodes a request. A member that the server does not know is refused,
// rather than ignored.
func read(body []byte, in any) *Error {
	err := json.Unmarshal(body, in, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	if e, ok := isError(err); ok {
		return e
	}
	if errors.Is(err, json.ErrUnknownName) {
		return missing("a parameter of this request: %v", err)
	}
	return failure("SerializationException", "%v", err)
}

// call is one request.
type call struct {
	op    string
	table string
	key   string // the text of the first key attribute, if the request has one
	use   Usage  // of capacity
}

// maxRequest bounds a request's body.
const maxRequest = 2 << 20

// ServeHTTP serves one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	target, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	serve, ok := s.ops[name]
	if !ok || target != "DynamoDB_20120810" || r.Method != http.MethodPost {
		s.answer(w, nil, missing("the operation %q", r.Header.Get("X-Amz-Target")))
		return
	}
	c := &call{op: name}
	s.look(c, body)
	effect := func() (any, *Error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		out, err := serve(s, c, body)
		u := s.usage[c.op]
		u.Read, u.Write = u.Read+c.use.Read, u.Write+c.use.Write
		s.usage[c.op] = u
		return out, err
	}
	s.count(c)
	out, failed := s.script.strike(r.Context(), c, effect)
	s.answer(w, out, failed)
}

// look finds out what the request is about, for faults.
func (s *Server) look(c *call, body []byte) {
	var about struct {
		TableName string
		Key, Item Item
	}
	if jsonv1.Unmarshal(body, &about) != nil {
		return // the operation will say what is wrong with it
	}
	c.table = about.TableName
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tables[c.table]; t != nil {
		for _, i := range []Item{about.Key, about.Item} {
			if v, ok := i[t.keys[0].name]; ok {
				c.key = v.Text
			}
		}
	}
}

func (s *Server) answer(w http.ResponseWriter, out any, failed *Error) {
	status := http.StatusOK
	if failed != nil {
		status = failed.Status
		m := map[string]any{"__type": "com.amazonaws.dynamodb.v20120810#" + failed.Code, "message": failed.Message}
		if failed.item != nil {
			m["Item"] = failed.item
		}
		out = m
	}
	b, err := jsonv1.Marshal(out)
	if err != nil {
		panic(err) // an answer that this package made
	}
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-1.0")
	h.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(b)), 10))
	h.Set("Date", s.config.Now().UTC().Format(http.TimeFormat))
	w.WriteHeader(status)
	if _, err := w.Write(b); err != nil {
		panic(http.ErrAbortHandler)
	}
}
