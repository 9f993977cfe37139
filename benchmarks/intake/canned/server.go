package canned

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server is the http.Handler that answers what consumers ask, of any number of Streams.
type Server struct {
	mu    sync.Mutex
	ready map[Stream]tails
}

// Serve is a process of its own: it prints its address and ends with its input,
// which the parent's death closes too.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: &Server{}, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	_, err = fmt.Fprintf(out, "http://%s\n", l.Addr())
	if err == nil {
		_, err = io.Copy(io.Discard, in)
	}
	err = errors.Join(err, srv.Close())
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// tails are made once for each stream.
func (s *Server) tails(of Stream) (tails, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.ready[of]; ok {
		return t, nil
	}
	t, err := of.make()
	if err != nil {
		return t, err
	}
	if s.ready == nil {
		s.ready = map[Stream]tails{}
	}
	s.ready[of] = t
	return t, nil
}

// ServeHTTP is the service, as far as consumers need it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var out [][]byte
	form := contentJSON
	if err == nil {
		op := r.Header.Get("X-Amz-Target")
		switch op = op[strings.LastIndexByte(op, '.')+1:]; op {
		case "GetRecords":
			if r.Header.Get("Content-Type") == contentCBOR {
				form = contentCBOR
			}
			out, err = s.records(in, form == contentCBOR)
		default:
			out, err = s.other(op, in)
		}
	}
	status := http.StatusOK
	if err != nil {
		status, form = http.StatusBadRequest, contentJSON
		out = [][]byte{fmt.Appendf(nil, `{"__type":"ValidationException","message":%q}`, err)}
	}
	n := 0
	for _, b := range out {
		n += len(b)
	}
	w.Header().Set("Content-Type", form)
	w.Header().Set("Content-Length", strconv.Itoa(n))
	w.WriteHeader(status)
	for _, b := range out {
		if _, err := w.Write(b); err != nil {
			return // the client has gone
		}
	}
}

// The forms of requests and answers.
const (
	contentJSON = "application/x-amz-json-1.1"
	contentCBOR = "application/x-amz-cbor-1.1"
)

// iterators have a length like those of the service.
const iteratorBytes = 224

// Iterator says which answer comes next, from 0.
func Iterator(of Stream, shard string, next int) string {
	s := fmt.Sprintf("it.%s.%s.%d.", of, shard, next)
	return s + strings.Repeat("A", max(0, iteratorBytes-len(s)))
}

// records finds the iterator, in whatever form the request is: it begins with what
// nothing else in it contains.
func (s *Server) records(in []byte, binary bool) ([][]byte, error) {
	i := bytes.Index(in, []byte("it.clicks-"))
	if i < 0 {
		return nil, errors.New("there is no iterator in the request")
	}
	parts := strings.SplitN(string(in[i:]), ".", 5)
	if len(parts) < 5 {
		return nil, errors.New("the iterator is none of this server's")
	}
	of, err := StreamOf(parts[1])
	if err != nil {
		return nil, err
	}
	k, err := strconv.Atoi(parts[3])
	if err != nil {
		return nil, err
	}
	t, err := s.tails(of)
	if err != nil {
		return nil, err
	}
	behind, next := 60_000, k+1
	if k >= of.Answers {
		behind, next = 0, k
	}
	if binary {
		begin := head(text(head(nil, 5, 3), "MillisBehindLatest"), 0, uint64(behind))
		begin = text(text(begin, "NextShardIterator"), Iterator(of, parts[2], next))
		if k >= of.Answers {
			return [][]byte{head(text(begin, "Records"), 4, 0)}, nil
		}
		return [][]byte{begin, t.cbor[k]}, nil
	}
	begin := fmt.Appendf(nil, `{"MillisBehindLatest":%d,"NextShardIterator":"%s",`, behind, Iterator(of, parts[2], next))
	if k >= of.Answers {
		return [][]byte{append(begin, `"Records":[]}`...)}, nil
	}
	return [][]byte{begin, t.json[k]}, nil
}

type object map[string]any

// other answers all operations but GetRecords.
func (s *Server) other(op string, in []byte) ([][]byte, error) {
	var ask struct{ StreamName, StreamARN, ShardId, StartingSequenceNumber string }
	if err := json.Unmarshal(in, &ask); err != nil {
		return nil, err
	}
	of, err := StreamOf(ask.StreamName + ask.StreamARN[strings.LastIndexByte(ask.StreamARN, '/')+1:])
	if err != nil {
		return nil, err
	}
	var out object
	switch op {
	case "ListShards":
		list := make([]object, of.Shards)
		for i := range list {
			list[i] = object{
				"ShardId": fmt.Sprintf("shardId-%012d", i), "HashKeyRange": object{"StartingHashKey": strconv.Itoa(1000 * i), "EndingHashKey": strconv.Itoa(1000*i + 999)},
				"SequenceNumberRange": object{"StartingSequenceNumber": "49590338271490256608559692538361571095921575989136588898"},
			}
		}
		out = object{"Shards": list}
	case "GetShardIterator":
		if _, err := s.tails(of); err != nil {
			return nil, err
		}
		next, err := of.after(ask.StartingSequenceNumber)
		if err != nil {
			return nil, err
		}
		out = object{"ShardIterator": Iterator(of, ask.ShardId, next)}
	case "DescribeStreamSummary":
		out = object{"StreamDescriptionSummary": object{
			"StreamName": of.String(), "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/" + of.String(), "StreamStatus": "ACTIVE",
			"StreamCreationTimestamp": 1.7e9, "RetentionPeriodHours": 24, "OpenShardCount": of.Shards, "EnhancedMonitoring": []object{},
		}}
	default:
		return nil, fmt.Errorf("this server has no operation %q", op)
	}
	b, err := json.Marshal(out)
	return [][]byte{b}, err
}
