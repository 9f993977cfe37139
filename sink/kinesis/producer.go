package kinesis

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Producer puts records into a stream, many in a request, and repeats what is not
// acknowledged until it is: at least once, in the order of Put for each partition
// key. It is safe for concurrent use.
//
// Its own goroutine, and one for each request under way, begin with the first Put
// and end with Close.
type Producer struct {
	remote *remote
	name   string // of who waits, for jitter
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	wake   chan struct{} // tells the loop that something has changed

	mu       sync.Mutex // of what follows; never held while waiting
	running  bool
	closed   bool
	err      error         // why nothing can be put any more
	moved    chan struct{} // closed, and replaced, when what Put and Flush wait for may have come
	held     int64         // records accepted and not acknowledged
	bytes    int64         // of these
	blocked  int           // calls of Put that wait for room
	flushing int           // calls of Flush that wait
	stats    Stats

	queue   queue
	pack    *packer // nil without Config.Aggregate
	inWay   int     // requests under way
	fails   int     // requests in a row of which nothing was taken
	failing time.Time
	notYet  time.Time // no request before
}

// Stats counts what a Producer has done.
type Stats struct {
	Records   int64 // acknowledged
	Bytes     int64 // of their keys and payloads
	Requests  int64 // PutRecords calls, those that failed among them
	Throttled int64 // records, or aggregates of them, refused for a limit of the service and repeated
	Repeated  int64 // the same, for every other reason: some of them may be in the stream twice
	Misplaced int64 // records of aggregates sent anew, because a reshard led them to another shard
}

// NewProducer makes a producer. It makes no connection and starts no goroutine
// before the first Put; its error lists all mistakes of configuration.
func NewProducer(cfg Config) (*Producer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return newProducer(newRemote(cfg), cfg.Stream), nil
}

func newProducer(r *remote, name string) *Producer {
	p := &Producer{remote: r, name: name, wake: make(chan struct{}, 1), moved: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.queue = newQueue(!r.cfg.Unordered || r.cfg.Aggregate)
	if r.cfg.Aggregate {
		p.pack = newPacker()
	}
	return p
}

// Put takes a record: a partition key of 1 to 256 characters of UTF-8, and a
// payload, which it copies. It waits for room in the buffer and does not wait for
// the service: Flush does. A *RecordError means that this record can never be put,
// and that others can; any other error, but that of ctx, is final.
func (p *Producer) Put(ctx context.Context, key string, data []byte) error {
	return p.put(ctx, key, "", data)
}

// put is Put with a place in the hash space, as a decimal number, or the key's own.
func (p *Producer) put(ctx context.Context, key, hash string, data []byte) error {
	if err := p.fits(key, len(data)); err != nil {
		return err
	}
	cost := int64(len(key) + len(data) + itemBytes)
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if err := p.state(); err != nil {
			return err
		}
		p.start()
		if (p.pack == nil || p.pack.layout != nil) && (p.held == 0 || p.bytes+cost <= p.remote.cfg.Buffer) {
			break
		}
		p.blocked++
		err := p.wait(ctx)
		p.blocked--
		if err != nil {
			return err
		}
	}
	p.held++
	p.bytes += cost
	it := &item{key: strings.Clone(key), hash: hash, at: time.Now(), n: 1, cost: cost, size: int64(len(key) + len(data))}
	if p.pack != nil {
		p.pack.add(&p.queue, it, data)
	} else {
		it.gate, it.data = it.key, append([]byte(nil), data...)
		p.queue.add(it)
	}
	// The loop waits for what has begun to wait, and for a full request.
	if p.inWay < p.remote.cfg.Requests && (p.queue.ready.n == 1 || p.queue.full() || p.pack != nil && it.alone()) {
		p.poke()
	}
	return nil
}

// fits tells why a record can never be put.
func (p *Producer) fits(key string, size int) error {
	var reason string
	n := utf8.RuneCountInString(key)
	switch most := p.remote.cfg.MaxRecord; {
	case n == 0:
		reason = "the partition key is empty: give one of 1 to 256 characters"
	case n > maxKey:
		reason = fmt.Sprintf("the partition key has %d characters: give one of 1 to %d", n, maxKey)
	case !utf8.ValidString(key):
		reason = "the partition key is not UTF-8"
	case len(key)+size > most:
		reason = fmt.Sprintf("Config.MaxRecord is %d bytes, key and payload together; a stream can be set to take up to 10 MiB", most)
	default:
		return nil
	}
	return &RecordError{Key: strings.ToValidUTF8(key[:min(len(key), 64)], "\uFFFD"), Bytes: len(key) + size, Reason: reason}
}

// Flush returns when all records that Put took are acknowledged: with nil, or with
// the error that is final, or that of ctx. What is not acknowledged may be in the
// stream or not.
func (p *Producer) Flush(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flushing++
	defer func() { p.flushing-- }()
	for p.held > 0 {
		if err := p.state(); err != nil {
			return err
		}
		if err := p.wait(ctx); err != nil {
			return err
		}
	}
	return p.err
}

// Close ends requests under way and the producer's goroutines, and gives up what
// is not acknowledged: Flush first. It may be called more than once.
func (p *Producer) Close() {
	p.mu.Lock()
	p.closed = true
	p.move()
	p.mu.Unlock()
	p.cancel()
	p.wg.Wait()
}

// Stats returns the counts so far.
func (p *Producer) Stats() Stats { p.mu.Lock(); defer p.mu.Unlock(); return p.stats }

// Buffered is the memory in bytes of the records not yet acknowledged.
func (p *Producer) Buffered() int64 { p.mu.Lock(); defer p.mu.Unlock(); return p.bytes }

func (p *Producer) state() error {
	if p.closed {
		return ErrClosed
	}
	return p.err
}

// wait gives up the lock until something has moved.
func (p *Producer) wait(ctx context.Context) error {
	moved := p.moved
	p.poke()
	p.mu.Unlock()
	defer p.mu.Lock()
	select {
	case <-moved:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// move wakes those who wait.
func (p *Producer) move() {
	close(p.moved)
	p.moved = make(chan struct{})
}

// poke wakes the loop.
func (p *Producer) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *Producer) start() {
	if !p.running {
		p.running = true
		p.wg.Go(p.loop)
	}
}
