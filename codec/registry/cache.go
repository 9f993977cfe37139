package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// CacheConfig holds the settings of a [Cache]. The zero value is the default.
type CacheConfig struct {
	// Size is how many schemas are kept; 1,000 by default. The one that was not used
	// for longest goes first.
	Size int
	// UnknownSize is how many ids that the registry does not know are kept; 1,000 by
	// default. They never push out a schema.
	UnknownSize int
	// UnknownFor is for how long an id is held to be unknown; 1 minute by default. It
	// may be registered later, or on its way to a replica.
	UnknownFor time.Duration
	// Timeout is how long one question may take; 10 seconds by default.
	Timeout time.Duration
	// Patience is how long a question is repeated in all; 1 minute by default. The
	// lane waits, its records do too, and its lease is kept.
	Patience time.Duration
	// Pause is the wait before the first repetition; 200 ms by default. It doubles up
	// to 10 seconds.
	Pause time.Duration
}

const maxPause = 10 * time.Second

func (c CacheConfig) orDefault() (CacheConfig, error) {
	if c.Size < 0 || c.UnknownSize < 0 || c.UnknownFor < 0 || c.Timeout < 0 || c.Patience < 0 || c.Pause < 0 {
		return c, fmt.Errorf("registry: a setting of the cache is negative: want positive numbers, or 0 for the default: %+v", c)
	}
	set(&c.Size, 1000)
	set(&c.UnknownSize, 1000)
	set(&c.UnknownFor, time.Minute)
	set(&c.Timeout, 10*time.Second)
	set(&c.Patience, time.Minute)
	set(&c.Pause, 200*time.Millisecond)
	return c, nil
}

func set[N int | time.Duration](n *N, value N) {
	if *n == 0 {
		*n = value
	}
}

// Cache is a Resolver that remembers the answers of another one. All lanes share
// one; it may be used by several goroutines, and starts none.
//
// Each version is asked for once, however many want it at a time, and kept for ever
// within the bounds of CacheConfig. What may pass is asked again, with pauses that
// double, for as long as the configured patience; then the answer is an error that
// says so, and what to do.
type Cache struct {
	resolver Resolver
	config   CacheConfig

	mu      sync.Mutex
	known   recent[Schema]
	unknown recent[absence]
	asking  map[ID]*question
}

// absence is that of a version, with the registry's words.
type absence struct {
	err   error
	until time.Time
}

// question is one that was put to the registry. What is below done is set before
// done is closed, and not changed after that.
type question struct {
	done   chan struct{}
	schema Schema
	err    error
	gaveUp bool // whoever asked ended, and the answer means nothing to others
}

// NewCache returns a cache before a resolver. Its error says what is wrong with the
// settings.
func NewCache(r Resolver, c CacheConfig) (*Cache, error) {
	if r == nil {
		return nil, errors.New("registry: a cache needs a resolver")
	}
	c, err := c.orDefault()
	if err != nil {
		return nil, err
	}
	return &Cache{resolver: r, config: c, asking: map[ID]*question{}, known: newRecent[Schema](c.Size), unknown: newRecent[absence](c.UnknownSize)}, nil
}

// Schema returns the version that id names, from memory if it can. Its errors are
// those of a [Resolver], or that of ctx.
func (c *Cache) Schema(ctx context.Context, id ID) (Schema, error) {
	for {
		q, mine, answer, err := c.look(id)
		switch {
		case q == nil:
			return answer, err
		case mine:
			c.ask(ctx, id, q)
			return q.schema, q.err
		}
		select {
		case <-q.done:
			if !q.gaveUp {
				return q.schema, q.err
			}
		case <-ctx.Done():
			return Schema{}, context.Cause(ctx)
		}
	}
}

// look answers from memory, or returns the question that is open, which is the
// caller's to put if it is mine.
func (c *Cache) look(id ID) (q *question, mine bool, answer Schema, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.known.get(id); ok {
		return nil, false, s, nil
	}
	if a, ok := c.unknown.get(id); ok && time.Now().Before(a.until) {
		return nil, false, Schema{}, a.err
	}
	if q = c.asking[id]; q != nil {
		return q, false, Schema{}, nil
	}
	q = &question{done: make(chan struct{}), err: errors.New("registry: the resolver failed"), gaveUp: true}
	c.asking[id] = q
	return q, true, Schema{}, nil
}

// ask puts a question and keeps the answer. Should the resolver panic, others ask
// anew.
func (c *Cache) ask(ctx context.Context, id ID, q *question) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.asking, id)
		switch {
		case q.err == nil:
			c.known.put(id, q.schema)
		case errors.Is(q.err, ErrUnknown):
			c.unknown.put(id, absence{q.err, time.Now().Add(c.config.UnknownFor)})
		}
		close(q.done)
	}()
	s, err := c.repeat(ctx, id)
	q.schema, q.err, q.gaveUp = s, err, err != nil && ctx.Err() != nil
}

// repeat puts a question until there is an answer.
func (c *Cache) repeat(ctx context.Context, id ID) (Schema, error) {
	start, pause := time.Now(), c.config.Pause
	for n := 1; ; n++ {
		s, err := c.once(ctx, id)
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, ErrUnknown):
			return Schema{}, fmt.Errorf("registry: schema %s: %w", id, err)
		case ctx.Err() != nil:
			return Schema{}, context.Cause(ctx)
		case errors.Is(err, ErrRefused):
			return Schema{}, fmt.Errorf("registry: schema %s: %w (nothing is lost: mend permissions or address, then start again)", id, err)
		case time.Since(start)+pause > c.config.Patience:
			return Schema{}, fmt.Errorf("registry: schema %s: no answer in %v, asked %d times: %w (nothing is lost: see whether the registry can be reached from here, then start again)",
				id, time.Since(start).Round(time.Millisecond), n, err)
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return Schema{}, context.Cause(ctx)
		}
		pause = min(2*pause, maxPause)
	}
}

func (c *Cache) once(ctx context.Context, id ID) (Schema, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	return c.resolver.Schema(ctx, id)
}
