package kinesistest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Server is a Kinesis service. It is an http.Handler, which serves any path on
// any host. All methods are safe for concurrent use.
//
// The methods that make, write and read streams act on the state at once: they
// are not requests, so limits, faults, counters and Config.OnEvent do not see
// them. Their errors are of type *Error.
type Server struct {
	config Config
	ops    map[string]operation

	mu        sync.RWMutex
	streams   map[string]*stream
	made      uint64      // counts streams
	committed atomic.Bool // MinimumThroughputBillingCommitment of the account

	used     atomic.Int64 // bytes of records, see Config.MaxBytes
	requests atomic.Uint64
	script   script
	bodies   sync.Pool // *buffer, for requests
	answers  sync.Pool // *buffer
	scratch  sync.Pool // *[]record

	url    string
	client *http.Client
	http   *http.Server // nil without Listen
	served chan struct{}
	fail   error // of http.Serve, once served is closed
}

// operation serves one kind of request: it writes the answer with call.answer or
// call.out, or returns an error.
type operation func(*Server, *call) *Error

// New makes a server without streams. It opens no socket and starts no goroutine:
// use it as an http.Handler, or through its Client. Close need not be called.
func New(config Config) *Server {
	s := &Server{
		config:  config.withDefaults(),
		streams: map[string]*stream{},
		url:     "http://kinesis.invalid",
		ops: map[string]operation{
			"AddTagsToStream":                        (*Server).addTags,
			"DeleteResourcePolicy":                   (*Server).deletePolicy,
			"DescribeAccountSettings":                (*Server).describeAccountSettings,
			"DisableEnhancedMonitoring":              (*Server).disableMonitoring,
			"EnableEnhancedMonitoring":               (*Server).enableMonitoring,
			"GetResourcePolicy":                      (*Server).getPolicy,
			"ListTagsForResource":                    (*Server).listTagsForResource,
			"PutResourcePolicy":                      (*Server).putPolicy,
			"StartStreamEncryption":                  (*Server).startEncryption,
			"StopStreamEncryption":                   (*Server).stopEncryption,
			"TagResource":                            (*Server).tagResource,
			"UntagResource":                          (*Server).untagResource,
			"UpdateAccountSettings":                  (*Server).updateAccountSettings,
			"UpdateStreamMode":                       (*Server).updateStreamMode,
			"UpdateStreamRecordDistributionStrategy": (*Server).updateDistribution,
			"UpdateStreamWarmThroughput":             (*Server).updateWarmThroughput,
			"CreateStream":                           (*Server).createStream,
			"DecreaseStreamRetentionPeriod":          (*Server).decreaseRetention,
			"DeleteStream":                           (*Server).deleteStream,
			"DeregisterStreamConsumer":               (*Server).deregisterConsumer,
			"DescribeLimits":                         (*Server).describeLimits,
			"DescribeStream":                         (*Server).describeStream,
			"DescribeStreamConsumer":                 (*Server).describeConsumer,
			"DescribeStreamSummary":                  (*Server).describeStreamSummary,
			"GetRecords":                             (*Server).getRecords,
			"GetShardIterator":                       (*Server).getShardIterator,
			"IncreaseStreamRetentionPeriod":          (*Server).increaseRetention,
			"ListShards":                             (*Server).listShards,
			"ListStreamConsumers":                    (*Server).listConsumers,
			"ListStreams":                            (*Server).listStreams,
			"ListTagsForStream":                      (*Server).listTags,
			"MergeShards":                            (*Server).mergeShards,
			"PutRecord":                              (*Server).putRecord,
			"PutRecords":                             (*Server).putRecords,
			"RegisterStreamConsumer":                 (*Server).registerConsumer,
			"RemoveTagsFromStream":                   (*Server).removeTags,
			"SplitShard":                             (*Server).splitShard,
			"SubscribeToShard":                       (*Server).subscribeToShard,
			"UpdateMaxRecordSize":                    (*Server).updateMaxRecordSize,
			"UpdateShardCount":                       (*Server).updateShardCount,
		},
	}
	s.script.calls = map[callKey]int{}
	s.bodies.New = func() any { return new(buffer) }
	s.answers.New = func() any { return new(buffer) }
	s.scratch.New = func() any { return new([]record) }
	s.client = &http.Client{Transport: &transport{handler: s}}
	return s
}

// Listen makes a server without streams that serves HTTP/1.1 on a free port of
// 127.0.0.1 until Close is called. It fails if it cannot listen.
//
// A client that speaks HTTP/2 without TLS, with prior knowledge, is served too, and
// gets all its subscriptions over one connection, as from the service. The SDK does
// so with an http.Transport whose Protocols allow UnencryptedHTTP2 alone.
//
// A caution on puts of more than 4 KiB over a socket this near: smithy-go (seen in
// 1.28.9) closes a request's body when the answer begins. If that comes before
// net/http has looked for the body's end, net/http takes it for a failed write and
// cuts the connection under the answer, in about one call of a hundred under load:
// "use of closed network connection". The SDK retries, and the records are there
// twice. Client does not have this race.
func Listen(config Config) (*Server, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := New(config)
	s.url = "http://" + l.Addr().String()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, Protocols: protocols}
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		s.fail = s.http.Serve(l)
	}()
	return s, nil
}

// URL is what to configure as the SDK's BaseEndpoint: the address after Listen,
// else one that only Client can reach.
func (s *Server) URL() string { return s.url }

// Client returns a client whose requests, to any host, are calls of the server
// inside the process, with or without Listen. It can be the HTTPClient of an SDK.
//
// It opens no socket, so it can be used in a testing/synctest bubble: there, every
// goroutine ends with its request, and time passes while a fault waits. A request
// ends when its context does, even if a fault holds the answer, and a cut
// connection is io.EOF before the answer and io.ErrUnexpectedEOF within it, as
// with net/http. As there, the body of a response must be closed.
func (s *Server) Client() *http.Client { return s.client }

// Close ends a server made by Listen: it closes the listener and all connections,
// whatever they are serving, so a request that a fault holds ends soon after. It
// returns when nothing listens any more. Requests within the process, by Client
// or by the methods, still work. On a server made by New it does nothing. It may
// be called more than once.
func (s *Server) Close() error {
	if s.http == nil {
		return nil
	}
	err := s.http.Close()
	<-s.served
	if err == nil && !errors.Is(s.fail, http.ErrServerClosed) {
		err = s.fail
	}
	return err
}

// lookup finds a stream that is not gone.
func (s *Server) lookup(name string, now time.Time) (*stream, *Error) {
	s.mu.RLock()
	st := s.streams[name]
	s.mu.RUnlock()
	if st == nil || s.sweep(st, now) {
		return nil, failure(codeNotFound, "Stream %s under account %s not found.", name, s.config.Account)
	}
	return st, nil
}

// sweep forgets the stream if its deletion has come to its end, and tells so.
func (s *Server) sweep(st *stream, now time.Time) bool {
	st.mu.RLock()
	gone := st.gone(now)
	st.mu.RUnlock()
	if !gone {
		return false
	}
	s.mu.Lock()
	if s.streams[st.name] == st {
		delete(s.streams, st.name)
	}
	s.mu.Unlock()
	st.mu.Lock()
	st.deleted = true
	freed := st.clear()
	st.mu.Unlock()
	s.release(freed)
	return true
}

// snapshot lists the streams by name.
func (s *Server) snapshot() []*stream {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*stream, 0, len(s.streams))
	for _, st := range s.streams {
		all = append(all, st)
	}
	slices.SortFunc(all, func(a, b *stream) int { return strings.Compare(a.name, b.name) })
	return all
}

// streamByID finds the stream that a token names.
func (s *Server) streamByID(id uint64) *stream {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, st := range s.streams {
		if st.id == id {
			return st
		}
	}
	return nil
}

// nameOf reads the stream's name from a request that gives the name, the ARN, or
// both.
func (s *Server) nameOf(r *request) (string, *Error) {
	if r.StreamARN == "" {
		if r.StreamName == "" {
			return "", invalidArgument("Either StreamName or StreamARN should be provided.")
		}
		return r.StreamName, nil
	}
	prefix := s.arn("")
	name, ok := strings.CutPrefix(r.StreamARN, prefix)
	if !ok {
		return "", failure(codeNotFound, "StreamARN %s is not one of this server, which begin with %s.", r.StreamARN, prefix)
	}
	if r.StreamName != "" && r.StreamName != name {
		return "", invalidArgument("StreamName %s and StreamARN %s name different streams.", r.StreamName, r.StreamARN)
	}
	return name, nil
}

func (s *Server) arn(name string) string {
	return "arn:aws:kinesis:" + s.config.Region + ":" + s.config.Account + ":stream/" + name
}

// stream finds the stream of a request.
func (s *Server) stream(c *call) (*stream, *Error) {
	name, err := s.nameOf(&c.req)
	if err != nil {
		return nil, err
	}
	return s.lookup(name, c.now)
}

func (s *Server) shardNotFound(st *stream, shard string) *Error {
	return failure(codeNotFound, "Shard %s in stream %s under account %s does not exist", shard, st.name, s.config.Account)
}

func (s *Server) notActive(st *stream, status string) *Error {
	return failure(codeInUse, "Stream %s under account %s not ACTIVE, instead in state %s", st.name, s.config.Account, status)
}
