package stage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/spread"
)

// TableConfig says where a [Table] comes from and how old it may become. Load must
// be given; all else has a default.
type TableConfig[K comparable, V any] struct {
	// Load reads the whole table. The map that it returns belongs to the table and
	// must not be changed any more; nil without an error is an error. ctx ends with
	// the lane that happens to load and after Timeout, and Load must return then. At
	// most one Load of a table runs at a time.
	Load func(ctx context.Context) (map[K]V, error)
	// Refresh is how old the table may become before a batch that comes by has it
	// loaded again in the background, without waiting; 0 means never: it is loaded
	// once in the life of the process. The interval is shortened by up to an eighth,
	// so that processes which started together do not load together. A refresh that
	// fails is repeated after a quarter of Refresh.
	Refresh time.Duration
	// MaxAge is how old the table may be when a batch is joined with it, counted from
	// the start of its loading. A batch that finds it older waits for a new one; if
	// that cannot be loaded, the lane stops. 0 means four times Refresh; without
	// Refresh it must be 0.
	MaxAge time.Duration
	// Timeout is how long one attempt to load may take; 0 means 1 minute. An attempt
	// that does not return has failed all the same, but the next waits until it does.
	Timeout time.Duration
	// Attempts is how often a load is tried before it has failed, with waits of 100
	// milliseconds, doubling up to 10 seconds, between; 0 means 5. A lane that waits
	// does so for all of them: keep Attempts times Timeout well below the time after
	// which a lane that stands still is taken by others (pipeline.Config.Stall).
	Attempts int
}

// Table is reference data in memory, which the lanes of a process share: a map
// that is replaced as a whole. It takes the memory of one map, and of two while it
// is loaded again. It is safe for concurrent use.
type Table[K comparable, V any] struct {
	cfg  TableConfig[K, V]
	slot *Limit // of one: a Load that overran its time may still run
	born time.Time
	now  atomic.Pointer[version[K, V]]
	due  atomic.Int64 // when to load again, in nanoseconds since born

	mu       sync.Mutex
	loading  *loading[K, V] // nil when nobody loads
	failures int64
	err      error
}

type version[K comparable, V any] struct {
	rows   map[K]V
	at     time.Time // the start of its loading
	number int64     // from 1
}

// loading is a load under way, for those who wait for it. The other fields are set
// before done is closed.
type loading[K comparable, V any] struct {
	done  chan struct{}
	rows  map[K]V
	err   error
	ended bool // it was given up with the lane that ran it, and says nothing
}

// NewTable returns a table that is not loaded yet. It starts nothing and does no
// I/O: the first batch of a lane has it loaded, in a goroutine of that lane. It
// reports all mistakes in the settings together.
func NewTable[K comparable, V any](c TableConfig[K, V]) (*Table[K, V], error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	c.MaxAge = cmp.Or(c.MaxAge, 4*c.Refresh)
	c.Timeout = cmp.Or(c.Timeout, time.Minute)
	c.Attempts = cmp.Or(c.Attempts, 5)
	return &Table[K, V]{cfg: c, slot: NewLimit(1), born: time.Now()}, nil
}

func (c TableConfig[K, V]) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("TableConfig: "+format, args...)) }
	if c.Load == nil {
		bad("Load is nil: give a function that reads the table, such as stage.CSV")
	}
	if c.Refresh < 0 {
		bad("Refresh is %v: want a positive duration, or 0 for a table that is loaded once", c.Refresh)
	}
	switch {
	case c.MaxAge < 0 || c.MaxAge > 0 && c.MaxAge < c.Refresh:
		bad("MaxAge is %v and Refresh %v: want at least as much, or 0 for the default", c.MaxAge, c.Refresh)
	case c.MaxAge > 0 && c.Refresh == 0:
		bad("MaxAge is %v and Refresh 0: a table that is loaded once grows older than that", c.MaxAge)
	}
	if c.Timeout < 0 {
		bad("Timeout is %v: want a positive duration, or 0 for the default", c.Timeout)
	}
	if c.Attempts < 0 {
		bad("Attempts is %d: want 1 or more, or 0 for the default", c.Attempts)
	}
	return errors.Join(errs...)
}

// TableStatus is what a table is at an instant, for metrics and logs.
type TableStatus struct {
	Version  int64     // of the rows: 1 for the first that were loaded, 0 before
	Rows     int       // how many there are
	Loaded   time.Time // when their loading began; zero before the first
	Failures int64     // loads that failed, in the life of the process
	Err      error     // of the last load, if it failed
}

// Status tells what the table is at the moment.
func (t *Table[K, V]) Status() TableStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := TableStatus{Failures: t.failures, Err: t.err}
	if v := t.now.Load(); v != nil {
		s.Version, s.Rows, s.Loaded = v.number, len(v.rows), v.at
	}
	return s
}

// rows returns the rows for one batch of a lane, and sees to their being loaded.
func (t *Table[K, V]) rows(ctx context.Context, env *shardlake.Env) (map[K]V, error) {
	for {
		v := t.now.Load()
		if v != nil && (t.cfg.Refresh == 0 || int64(time.Since(t.born)) < t.due.Load()) && t.fresh(v) {
			return v.rows, nil
		}
		l, own := t.load(env, v)
		if v != nil && t.fresh(v) {
			return v.rows, nil
		}
		if l == nil {
			continue // somebody has just loaded it
		}
		select {
		case <-l.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		switch {
		case l.err == nil:
			return l.rows, nil // even if it grew too old while it was loaded
		case own || !l.ended:
			return nil, l.err
		}
	}
}

func (t *Table[K, V]) fresh(v *version[K, V]) bool {
	return t.cfg.Refresh == 0 || time.Since(v.at) <= t.cfg.MaxAge
}

// load joins the load under way or starts one in a goroutine of the lane. It
// returns nil if the table is no longer the version that the caller has seen; own
// tells whether it started the load.
func (t *Table[K, V]) load(env *shardlake.Env, seen *version[K, V]) (l *loading[K, V], own bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now.Load() != seen {
		return nil, false
	}
	if t.loading == nil {
		t.loading, own = &loading[K, V]{done: make(chan struct{})}, true
		l := t.loading
		env.Go(func(ctx context.Context) { t.run(ctx, env, l) })
	}
	return t.loading, own
}

// run loads the table. When its lane ends, so does the load: the next batch of
// another lane starts one anew.
func (t *Table[K, V]) run(ctx context.Context, env *shardlake.Env, l *loading[K, V]) {
	p := &policy{env: env, limits: []*Limit{t.slot}, timeout: t.cfg.Timeout, attempts: t.cfg.Attempts, first: 100 * time.Millisecond, most: 10 * time.Second}
	next, err := run(ctx, p, env.Lane, func(ctx context.Context) (*version[K, V], error) {
		v := &version[K, V]{at: time.Now()}
		var err error
		if v.rows, err = t.cfg.Load(ctx); err == nil && v.rows == nil {
			err = errors.New("no map and no error came from Load")
		}
		return v, err
	})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.loading = nil
	defer close(l.done)
	switch {
	case err == nil:
		next.number, t.err = 1, nil
		if old := t.now.Load(); old != nil {
			next.number = old.number + 1
		}
		wait := t.cfg.Refresh - time.Duration(float64(t.cfg.Refresh)/8*spread.Of(env.Lane(), int(next.number)))
		t.due.Store(int64(next.at.Sub(t.born) + wait))
		t.now.Store(next)
		l.rows = next.rows
	case ctx.Err() != nil:
		l.err, l.ended = err, true
	default:
		l.err = fmt.Errorf("load the table: %w", err)
		t.err = l.err
		t.failures++
		t.due.Store(int64(time.Since(t.born) + t.cfg.Refresh/4))
		if old := t.now.Load(); old != nil {
			env.Log().Warn("a table could not be loaded again; the lanes go on with the old one until it is too old",
				"age", time.Since(old.at), "until", t.cfg.MaxAge, "error", err)
		}
	}
}
