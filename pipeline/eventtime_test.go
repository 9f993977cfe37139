package pipeline_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// script is a source of one lane whose answers are those of a test, a second apart.
// Rows are seconds of event time.
type script struct {
	answers []source.Chunk
	end     error // behind the last answer; nil waits
}

func (s *script) Check() error { return nil }
func (s *script) Lanes(context.Context) (source.Listing, error) {
	return source.Listing{Name: "script", Identity: "script", Begin: shardlake.Never, Lanes: []source.Lane{{ID: "lane"}}}, nil
}
func (s *script) Open(_ source.Lane, from source.Start) (source.Fetcher, error) {
	f := &scripted{script: s}
	for i, c := range s.answers {
		if n := len(c.Records); n > 0 && c.Records[n-1].Pos.Compare(from.After) <= 0 {
			f.next = i + 1
		}
	}
	return f, nil
}
func (s *script) Decoder() (source.Decoder[int], error) { return s, nil }
func (s *script) Decode(_ context.Context, records []shardlake.Record, rows []int, times []shardlake.Instant) (int, error) {
	for i := range records {
		n, err := strconv.Atoi(string(records[i].Data))
		if err != nil {
			return i, err
		}
		rows[i], times[i] = n, second(n)
	}
	return len(records), nil
}

type scripted struct {
	*script
	next int
}

func (f *scripted) Close() error { return nil }
func (f *scripted) Fetch(ctx context.Context) (source.Chunk, error) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return source.Chunk{}, ctx.Err()
	}
	if f.next == len(f.answers) {
		if f.end != nil {
			return source.Chunk{}, f.end
		}
		<-ctx.Done()
		return source.Chunk{}, ctx.Err()
	}
	f.next++
	return f.answers[f.next-1], nil
}

func second(n int) shardlake.Instant { return shardlake.Instant(n) * 1e6 }

// came are records that happened at the given seconds and arrived at one.
func (s *script) came(arrived int, at ...int) {
	c := source.Chunk{Behind: -1}
	for _, n := range at {
		pos := shardlake.Position{Seq: strconv.Itoa(1000 + len(s.answers)*100 + len(c.Records))}
		c.Records = append(c.Records, shardlake.Record{Pos: pos, Arrived: second(arrived), Data: []byte(strconv.Itoa(n))})
	}
	s.answers = append(s.answers, c)
}

// silent are answers without a record, at the tip, at the given seconds of the
// service's clock; 0 is an answer behind which there is more.
func (s *script) silent(at ...int) {
	for _, n := range at {
		s.answers = append(s.answers, source.Chunk{Tip: second(n)})
	}
}

// tens counts rows by tens of seconds; late ones are told by when they happened.
type tens struct {
	*script
	cfg    pipeline.Config
	counts sink.Collect[[2]int]
	late   sink.Collect[shardlake.DeadLetter]
}

func (x *tens) build() *pipeline.Pipeline {
	p := pipeline.New(x.cfg)
	p.Read(x.script).Via(stage.Aggregate(window.Tumbling(10*time.Second).Grace(0), func(int) struct{} { return struct{}{} },
		func(_ struct{}, s window.Span) [2]int { return [2]int{int(s.Start / 1e6)} },
		func(r *[2]int, _ int) { r[1]++ })).Into(&x.counts)
	p.Late().Into(&x.late)
	p.Dead().Into(sink.Discard[shardlake.DeadLetter]{})
	return p
}

// run reads the script for as long as it has answers, and stops, or to its end.
func (x *tens) run(t *testing.T, wantCounts [][2]int, wantLate ...string) *pipeline.Pipeline {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(len(x.answers)+2)*time.Second)
	defer cancel()
	p := x.build()
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if got := x.counts.Rows(); !slices.Equal(got, wantCounts) {
		t.Errorf("counts are %v, want %v", got, wantCounts)
	}
	var late []string
	for _, d := range x.late.Rows() {
		late = append(late, string(d.Data))
	}
	if !slices.Equal(late, wantLate) {
		t.Errorf("late are %v, want %v", late, wantLate)
	}
	return p
}

// Rows that are out of order by less than the bound are late for nothing; late ones
// go to their own stream.
func TestEventTimeBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := tens{script: new(script), cfg: pipeline.Config{EventTime: pipeline.EventTime{Bound: 5 * time.Second}}}
		x.came(100, 1, 14, 9) // 14 less 5 is 9: the first ten seconds are open
		x.came(100, 15, 8)    // and now they are closed
		x.run(t, [][2]int{{0, 2}}, "8")
	})
}

// A clock that is a year ahead closes no window, in no attempt. Its row is counted, in
// the window that it falls into, which stays open.
func TestEventTimeAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const year = 365 * 24 * 3600
		x := tens{script: new(script)}
		x.came(100, 1, year, 2)
		x.came(100, 103, 4) // 4 is late, because of 103
		p := x.run(t, [][2]int{{0, 2}}, "4")
		if n := p.Status().Lanes[0].Ahead; n != 1 {
			t.Errorf("%d rows are ahead", n)
		}
		x = tens{script: &script{answers: x.answers, end: io.EOF}}
		x.run(t, [][2]int{{0, 2}, {100, 1}, {year, 1}}, "4")
		x = tens{script: &script{answers: x.answers, end: io.EOF}, cfg: pipeline.Config{EventTime: pipeline.EventTime{Ahead: -1}}}
		x.run(t, [][2]int{{0, 1}, {year, 1}}, "2", "103", "4")
	})
}

// At the tip of a silent shard the watermark follows the service's clock, so that
// windows close; it never does in a lane that lags, nor by default.
func TestEventTimeIdle(t *testing.T) {
	idle := pipeline.EventTime{Idle: 10 * time.Second}
	synctest.Test(t, func(t *testing.T) {
		for name, test := range map[string]struct {
			cfg    pipeline.EventTime
			silent []int
			want   [][2]int
		}{
			"off":        {pipeline.EventTime{}, []int{200, 300, 400}, nil},
			"not yet":    {idle, []int{101, 105, 109}, nil},
			"long":       {idle, []int{101, 111, 121}, [][2]int{{90, 1}}},
			"lagging":    {idle, []int{0, 0, 0, 0}, nil},
			"lagged":     {idle, []int{101, 0, 109, 118}, nil},
			"step":       {idle, []int{101, 10_000}, [][2]int{{90, 1}}},                                               // from 99 to 109, not to 9,990
			"with bound": {pipeline.EventTime{Idle: 10 * time.Second, Bound: 30 * time.Second}, []int{120, 139}, nil}, // 139 less 40 is 99
			"past bound": {pipeline.EventTime{Idle: 10 * time.Second, Bound: 30 * time.Second}, []int{120, 141, 142}, [][2]int{{90, 1}}},
		} {
			x := tens{script: new(script), cfg: pipeline.Config{EventTime: test.cfg}}
			x.came(100, 99)
			x.silent(test.silent...)
			t.Log(name)
			x.run(t, test.want)
		}
	})
}

// What the idle watermark has closed stays closed: the advance is committed with what
// came of it, and the next owner goes on from there.
func TestIdleWatermarkIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(lease.Memory)
		cfg := pipeline.Config{Leases: store, EventTime: pipeline.EventTime{Idle: 10 * time.Second}}
		x := tens{script: new(script), cfg: cfg}
		x.came(100, 99)
		x.silent(111, 121)
		x.run(t, [][2]int{{90, 1}})
		row, err := store.Get(t.Context(), "lane")
		if err != nil || row.Watermark != second(109) { // from 99, by one step
			t.Fatal(row.Watermark, err)
		}
		again := tens{script: x.script, cfg: cfg}
		again.came(130, 98, 112)
		again.run(t, nil, "98")
	})
}

// A replay of old times behind new ones is all late in one lane; under an application
// of its own it has a watermark of its own, and its end closes its last window (case
// E5).
func TestReplayHasItsOwnWatermark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(lease.Memory)
		live := tens{script: new(script), cfg: pipeline.Config{Leases: store}}
		live.came(2000, 1000, 1500)
		live.run(t, [][2]int{{1000, 1}})
		old := script{answers: live.answers}
		old.came(2001, 1000, 1500)
		same := tens{script: &old, cfg: pipeline.Config{Leases: store}}
		same.run(t, nil, "1000") // 1500 is in the window that is open
		replay := tens{script: &script{answers: live.answers, end: io.EOF}, cfg: pipeline.Config{Application: "replay"}}
		replay.run(t, [][2]int{{1000, 1}, {1500, 1}})
	})
}

// Without a stream of their own late rows are among the dead letters.
func TestLateWithoutItsStream(t *testing.T) {
	x := &script{end: io.EOF}
	x.came(100, 50, 1)
	var dead sink.Collect[shardlake.DeadLetter]
	synctest.Test(t, func(t *testing.T) {
		p := pipeline.New(pipeline.Config{})
		p.Read(x).Via(stage.Aggregate(window.Tumbling(10*time.Second).Grace(0), func(int) int { return 0 }, func(int, window.Span) int { return 0 }, func(*int, int) {})).
			Into(sink.Discard[int]{})
		p.Dead().Into(&dead)
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if d := dead.Rows(); len(d) != 1 || string(d[0].Data) != "1" || !strings.Contains(d[0].Reason, "late") {
		t.Error(d)
	}
}

// Late rows and dead letters may be read more than once.
func TestLateAndDeadTwice(t *testing.T) {
	var all [4]sink.Collect[shardlake.DeadLetter]
	p := pipeline.New(pipeline.Config{})
	p.Read(source.Values(1, 2, 3)).Via(stage.TryFilter(func(n int) (bool, error) {
		if n == 2 {
			return false, shardlake.Reject(shardlake.ErrLate)
		}
		return false, shardlake.Reject(errors.New("not wanted"))
	})).Into(sink.Discard[int]{})
	p.Late().Into(&all[0])
	p.Late().Into(&all[1])
	p.Dead().Into(&all[2])
	p.Dead().Into(&all[3])
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 1, 2, 2} {
		if got := len(all[i].Rows()); got != want {
			t.Errorf("reader %d got %d rows, want %d", i, got, want)
		}
	}
	if s := p.Status().Lanes[0]; s.Late != 1 || s.Dead != 2 {
		t.Errorf("%d late, %d dead", s.Late, s.Dead)
	}
}

func TestEventTimeIsChecked(t *testing.T) {
	for _, e := range []pipeline.EventTime{{Bound: -1}, {Idle: -1}, {Idle: time.Millisecond}} {
		p := pipeline.New(pipeline.Config{EventTime: e})
		p.Read(source.Values(1)).Into(sink.Discard[int]{})
		if err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "EventTime") {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

// States that leave no room for anything else stop the lane with a remedy: waiting
// would be for ever.
func TestStateBeyondTheBudget(t *testing.T) {
	rows := make([]int, 300_000)
	for i := range rows {
		rows[i] = i
	}
	p := pipeline.New(pipeline.Config{Memory: 16 << 20})
	p.Read(source.Values(rows...)).Via(stage.Keyed(func(n int) int { return n },
		func(c *stage.Cell[int, [4]int, int], n int) error { return nil }, nil)).Into(sink.Discard[int]{})
	err := p.Run(t.Context())
	if e, ok := errors.AsType[*pipeline.Error](err); !ok || e.Stage != "state" || !strings.Contains(e.Remedy, "Config.Memory") {
		t.Fatal(err)
	}
}
