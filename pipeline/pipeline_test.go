package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/sinktest"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
)

// A run that reads everything returns nil, and every sink has its rows.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var odd sink.Collect[string]
		p := pipeline.New(pipeline.Config{})
		p.Read(source.Lanes([]int{1, 2, 3}, []int{4, 5})).
			Via(stage.Filter(func(n int) bool { return n%2 == 1 }).
				Then(stage.Map(func(n int) string { return fmt.Sprint("#", n) }))).
			Into(&odd)
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := odd.Rows()
		slices.Sort(got)
		if !slices.Equal(got, []string{"#1", "#3", "#5"}) {
			t.Error(got)
		}
		for _, l := range p.Status().Lanes {
			if l.State != "ended" || l.Number != 1 {
				t.Errorf("%+v", l)
			}
		}
		if m := p.Status(); m.Memory != 0 {
			t.Errorf("%d bytes of the budget are still in use", m.Memory)
		}
	})
}

// Every mistake of a graph is an error of Run, and all come at once.
func TestMistakesComeTogether(t *testing.T) {
	lake := &sinktest.Memory{}
	p := pipeline.New(pipeline.Config{Memory: 1, CommitRecords: -1})
	in := p.Read(source.Values(1, 2))
	in.Via(stage.Map(func(n int) string { return "" })) // goes nowhere
	in.Via((stage.Stage[int, int])(nil)).Into(sink.Discard[int]{})
	in.Write(lake.Folder("../up"), jsonl)
	in.Write(lake.Folder("a"), jsonl)
	in.Write(lake.Folder("a"), jsonl)
	in.Write(lake.Folder("b").By(sink.Day("x y")), jsonl)
	in.Write(sink.Folder{Prefix: "no store"}, jsonl)
	p.Read((source.Source[int])(nil))
	err := p.Run(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"Memory is 1 bytes", "CommitRecords is -1", "goes nowhere", "Via(nil)", `folder "../up"`, "two streams are written to", `"x y"`, "no store", "Read(nil)"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not tell of %q:\n%v", want, err)
		}
	}
}

func TestNothingRead(t *testing.T) {
	if err := pipeline.New(pipeline.Config{}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing is read") {
		t.Error(err)
	}
}

// Two stages with state of one row type need names: else which is which would
// depend on where they stand.
func TestTwoStatesOfOneName(t *testing.T) {
	build := func(name string) error {
		p := pipeline.New(pipeline.Config{})
		in := p.Read(source.Values(events(5, 1)...).At(event.when))
		in.Via(perMinute()).Into(sink.Discard[perKey]{})
		second := perMinute()
		if name != "" {
			second = stage.Named(name, second)
		}
		in.Via(second).Into(sink.Discard[perKey]{})
		return p.Run(t.Context())
	}
	if err := build(""); err == nil || !strings.Contains(err.Error(), "stage.Named") {
		t.Error(err)
	}
	if err := build("again"); err != nil {
		t.Error(err)
	}
}

// A pipeline runs once, and what is added to it while it runs is an error, not a
// surprise.
func TestRunsOnce(t *testing.T) {
	p := pipeline.New(pipeline.Config{})
	in := p.Read(source.Values(1))
	in.Via(stage.Inspect(func(int) { in.Into(sink.Discard[int]{}) })).Into(sink.Discard[int]{})
	if err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "while the pipeline ran") {
		t.Error(err)
	}
	if err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "has been run") {
		t.Error(err)
	}
}

// A branch that edits its rows in place cannot change what its sibling sees.
func TestBranchesDoNotShareRows(t *testing.T) {
	var evens, all sink.Collect[int]
	p := pipeline.New(pipeline.Config{})
	in := p.Read(source.Values(1, 2, 3, 4, 5, 6))
	in.Via(stage.Filter(func(n int) bool { return n%2 == 0 })).Into(&evens) // compacts in place
	in.Into(&all)
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(all.Rows(), []int{1, 2, 3, 4, 5, 6}) || !slices.Equal(evens.Rows(), []int{2, 4, 6}) {
		t.Error(all.Rows(), evens.Rows())
	}
}

// The three answers of a user function, and what happens without a place for
// dead letters.
func TestAnswers(t *testing.T) {
	stop := errors.New("stop here")
	run := func(dead bool, answer error) (got []int, letters []shardlake.DeadLetter, err error) {
		var rows sink.Collect[int]
		var graves sink.Collect[shardlake.DeadLetter]
		p := pipeline.New(pipeline.Config{})
		p.Read(source.Values(1, 2, 3).Keyed(func(n int) string { return fmt.Sprint("k", n) })).
			Via(stage.Named("check", stage.TryMap(func(n int) (int, error) {
				if n == 2 {
					return 0, answer
				}
				return n, nil
			}))).Into(&rows)
		if dead {
			p.Dead().Into(&graves)
		}
		err = p.Run(t.Context())
		return rows.Rows(), graves.Rows(), err
	}

	got, letters, err := run(true, fmt.Errorf("wrapped: %w", shardlake.ErrSkip))
	if err != nil || !slices.Equal(got, []int{1, 3}) || len(letters) != 0 {
		t.Error("skip:", got, letters, err)
	}
	got, letters, err = run(true, shardlake.Reject(errors.New("odd \xff one")))
	if err != nil || !slices.Equal(got, []int{1, 3}) || len(letters) != 1 {
		t.Fatal("reject:", got, letters, err)
	}
	if d := letters[0]; d.Lane != "values-0" || d.Seq != "2" || d.Key != "k2" || d.Stage != "check" || d.Reason != "odd \uFFFD one" || d.Source != "values" || len(d.Data) == 0 {
		t.Errorf("%+v", d)
	}
	_, _, err = run(false, shardlake.Reject(errors.New("odd")))
	if err == nil || !strings.Contains(err.Error(), "p.Dead()") {
		t.Error("reject without a place:", err)
	}
	got, _, err = run(true, stop)
	var at *pipeline.Error
	if !errors.Is(err, stop) || !errors.As(err, &at) || at.Stage != "check" || at.Lane != "values-0" || at.Pos.Seq != "2" || at.Remedy == "" || len(got) != 0 {
		t.Errorf("stop: %v %+v %v", got, at, err)
	}
}

// A panic anywhere in user code ends in an error that says where; the process
// lives on.
func TestPanicsBecomeErrors(t *testing.T) {
	boom := func(n int) int {
		if n == 2 {
			panic("boom")
		}
		return n
	}
	for name, build := range map[string]func(*pipeline.Pipeline){
		"map(": func(p *pipeline.Pipeline) {
			p.Read(source.Values(1, 2, 3)).Via(stage.Map(boom)).Into(sink.Discard[int]{})
		},
		"filter(": func(p *pipeline.Pipeline) {
			p.Read(source.Values(1, 2, 3)).Via(stage.Filter(func(n int) bool { return boom(n) > 0 })).Into(sink.Discard[int]{})
		},
		"async(": func(p *pipeline.Pipeline) {
			p.Read(source.Values(1, 2, 3)).Via(stage.Async(2, func(_ context.Context, n int) (int, error) { return boom(n), nil })).Into(sink.Discard[int]{})
		},
		"decode": func(p *pipeline.Pipeline) { p.Read(panicky{source.Values(1, 2, 3)}).Into(sink.Discard[int]{}) },
		"fetch":  func(p *pipeline.Pipeline) { p.Read(badFetch{source.Values(1, 2, 3)}).Into(sink.Discard[int]{}) },
		"behind": func(p *pipeline.Pipeline) { p.Read(source.Values(1, 2, 3)).Into(badSink{}) },
	} {
		p := pipeline.New(pipeline.Config{})
		build(p)
		err := p.Run(t.Context())
		var at *pipeline.Error
		if !errors.As(err, &at) || !strings.HasPrefix(at.Stage, name) || at.Lane != "values-0" || !strings.Contains(err.Error(), "boom") {
			t.Errorf("%s: %v", name, err)
		}
		if p.Status().Memory != 0 {
			t.Errorf("%s: %d bytes of the budget are lost", name, p.Status().Memory)
		}
	}
}

type panicky struct{ *source.Slices[int] }

func (s panicky) Decoder() (source.Decoder[int], error) { return s, nil }

func (s panicky) Decode(ctx context.Context, records []shardlake.Record, rows []int, times []shardlake.Instant) (int, error) {
	if slices.ContainsFunc(records, func(r shardlake.Record) bool { return r.Pos.Seq == "2" }) {
		panic("boom")
	}
	return s.Slices.Decode(ctx, records, rows, times)
}

type badFetch struct{ *source.Slices[int] }

func (badFetch) Open(source.Lane, source.Start) (source.Fetcher, error) { return badFetcher{}, nil }

type badFetcher struct{}

func (badFetcher) Fetch(context.Context) (source.Chunk, error) { panic("boom") }
func (badFetcher) Close() error                                { return nil }

type badSink struct{ sink.Discard[int] }

func (badSink) Open(*shardlake.Env) (sink.Writer[int], error) { return badWriter{}, nil }

type badWriter struct{}

func (badWriter) Write(context.Context, shardlake.Batch[int]) error { panic("boom") }
func (badWriter) Seal(context.Context) ([]shardlake.Pending, error) { return nil, nil }
func (badWriter) Buffered() int64                                   { return 0 }
func (badWriter) Close() error                                      { return nil }

// Rows that come after a shard's end was committed are no problem of ours, and a
// child starts only when its parents have ended.
func TestParentsBeforeChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order sink.Collect[event]
		src := family{source.Lanes(events(4, 1), events(4, 2), events(4, 3)).At(event.when).Fetching(1)}
		p := pipeline.New(pipeline.Config{})
		p.Read(src).Into(&order)
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := order.Rows()
		if len(got) != 12 {
			t.Fatal(got)
		}
		for _, e := range got[:8] {
			if e.ID/1000 == 1 {
				t.Errorf("a row of the child came before the end of its parents: %v", got)
			}
		}
	})
}

// family makes lane 0 the child of lanes 1 and 2.
type family struct{ *source.Slices[event] }

func (f family) Lanes(ctx context.Context) (source.Listing, error) {
	l, err := f.Slices.Lanes(ctx)
	l.Lanes[0].Parents = []string{"values-1", "values-2", "values-long-gone"}
	return l, err
}

func (f family) Open(l source.Lane, from source.Start) (source.Fetcher, error) {
	inner, err := f.Slices.Open(l, from)
	return shardEnd{inner}, err
}

type shardEnd struct{ source.Fetcher }

func (f shardEnd) Fetch(ctx context.Context) (source.Chunk, error) {
	c, err := f.Fetcher.Fetch(ctx)
	if errors.Is(err, io.EOF) {
		err = source.ErrShardEnd
	}
	return c, err
}

// A stream that was deleted and made again is not read at the old positions.
func TestStreamMadeAgain(t *testing.T) {
	store := new(lease.Memory)
	run := func(identity string) error {
		p := pipeline.New(pipeline.Config{Leases: store})
		p.Read(reborn{source.Values(1, 2), identity}).Into(sink.Discard[int]{})
		return p.Run(t.Context())
	}
	if err := run("arn@1"); err != nil {
		t.Fatal(err)
	}
	if err := run("arn@2"); err == nil || !strings.Contains(err.Error(), "made again") {
		t.Error(err)
	}
}

type reborn struct {
	*source.Slices[int]
	identity string
}

func (r reborn) Lanes(ctx context.Context) (source.Listing, error) {
	l, err := r.Slices.Lanes(ctx)
	l.Identity = r.identity
	return l, err
}

// Two sources with the same lane names would mix up their positions.
func TestTwoSourcesOneName(t *testing.T) {
	p := pipeline.New(pipeline.Config{})
	p.Read(source.Values(1)).Into(sink.Discard[int]{})
	p.Read(source.Values("a")).Into(sink.Discard[string]{})
	if err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "lane names") {
		t.Error(err)
	}
	p = pipeline.New(pipeline.Config{})
	p.Read(source.Values(1)).Into(sink.Discard[int]{})
	p.Read(source.Values("a").Called("other")).Into(sink.Discard[string]{})
	if err := p.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

// Event times beyond what files and engines agree on are dead letters, and do
// not close every window.
func TestAbsurdEventTimes(t *testing.T) {
	type row struct{ Year int }
	var rows sink.Collect[row]
	var dead sink.Collect[shardlake.DeadLetter]
	p := pipeline.New(pipeline.Config{})
	p.Read(source.Values(row{1}, row{0}, row{9999}, row{-1}, row{10000}, row{290000}).
		At(func(r row) time.Time { return time.Date(r.Year, 1, 1, 0, 0, 0, 0, time.UTC) })).Into(&rows)
	p.Dead().Into(&dead)
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(rows.Rows()) != 3 || len(dead.Rows()) != 3 || !strings.Contains(dead.Rows()[0].Reason, "event time") {
		b, err := json.Marshal(dead.Rows())
		t.Error(rows.Rows(), string(b), err)
	}
}
