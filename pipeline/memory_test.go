package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/sinktest"
	"github.com/shardlake/shardlake/source"
)

// heavy is a format whose encoder keeps all rows until the file is closed, like a
// row group that is never full.
func heavy[T any]() (sink.Format[T], error) { return heavyFormat[T]{}, nil }

type heavyFormat[T any] struct{ lines[T] }

func (heavyFormat[T]) NewEncoder(w sink.FileWriter, info sink.FileInfo) (sink.Encoder[T], error) {
	e, err := lines[T]{}.NewEncoder(w, info)
	return &heavyEncoder[T]{Encoder: e}, err
}

type heavyEncoder[T any] struct {
	sink.Encoder[T]
	rows []T
}

const heavyRow = 64 << 10 // what a row is said to take

func (e *heavyEncoder[T]) Encode(rows []T) error { e.rows = append(e.rows, rows...); return nil }
func (e *heavyEncoder[T]) Buffered() int64       { return int64(len(e.rows)) * heavyRow }
func (e *heavyEncoder[T]) Close(i sink.FileInfo) error {
	return errors.Join(e.Encoder.Encode(e.rows), e.Encoder.Close(i))
}

// Many lanes whose open files would take ten times the budget commit early, one
// after the other, and all rows arrive.
func TestMemoryShortLanesCommitEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const budget, lanes, each = 16 << 20, 8, 400
		var all [][]event
		for n := range lanes {
			all = append(all, events(each, n))
		}
		lake := &sinktest.Memory{}
		p := pipeline.New(pipeline.Config{Memory: budget, CommitEvery: 24 * time.Hour})
		p.Read(source.Lanes(all...).At(event.when).Fetching(20)).Write(lake.Folder("raw"), heavy)
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, times := range rows(lake.Objects()) {
			n += times
		}
		status := p.Status()
		if n != lanes*each || status.Memory != 0 {
			t.Errorf("%d rows of %d, %d bytes still in use", n, lanes*each, status.Memory)
		}
		// Each lane may overdraw the budget by the chunk at hand and those on their way,
		// since here a row takes a thousand times what its record takes.
		if limit := int64(budget + lanes*3*20*heavyRow); status.MemoryPeak > limit {
			t.Errorf("the peak is %d bytes, want at most %d", status.MemoryPeak, limit)
		}
	})
}

// A chunk larger than the whole budget still gets through.
func TestMemoryOneLargeRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got sink.Collect[int]
		p := pipeline.New(pipeline.Config{Memory: 16 << 20})
		p.Read(fat{source.Lanes([]int{1, 2, 3}, []int{4, 5}).Fetching(1)}).Into(&got)
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(got.Rows()) != 5 || p.Status().Memory != 0 {
			t.Error(got.Rows(), p.Status().Memory)
		}
	})
}

// fat says of each chunk that it takes 40 MiB.
type fat struct{ *source.Slices[int] }

func (f fat) Open(l source.Lane, from source.Start) (source.Fetcher, error) {
	inner, err := f.Slices.Open(l, from)
	return fatFetcher{inner}, err
}

type fatFetcher struct{ source.Fetcher }

func (f fatFetcher) Fetch(ctx context.Context) (source.Chunk, error) {
	c, err := f.Fetcher.Fetch(ctx)
	c.Bytes = 40 << 20
	return c, err
}

// A store that is away for ten minutes holds up reading; nothing grows, and
// nothing is lost or doubled when it is back.
func TestStoreAwayForMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lake := &awayStore{Memory: &sinktest.Memory{Part: 4 << 10}, from: time.Now().Add(30 * time.Second), to: time.Now().Add(10 * time.Minute)}
		src := endless{source.Values(events(4000, 1)...).At(event.when).Fetching(40), time.Second}
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
		defer cancel()
		p := pipeline.New(pipeline.Config{Memory: 16 << 20, CommitEvery: 20 * time.Second})
		p.Read(source.Source[event](src)).Write(sink.Folder{Store: lake, Prefix: "raw"}, jsonl)
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		n := 0
		for row, times := range rows(lake.Objects()) {
			if n += times; times > 1 {
				t.Errorf("%d times %s", times, row)
			}
		}
		if n != 4000 || p.Status().MemoryPeak > 16<<20 {
			t.Errorf("%d rows of 4000, %d bytes at the peak", n, p.Status().MemoryPeak)
		}
	})
}

// awayStore answers 503 between two moments.
type awayStore struct {
	*sinktest.Memory
	from, to time.Time
}

var errAway = errors.New("503 Slow Down")

func (s *awayStore) away() error {
	if now := time.Now(); now.After(s.from) && now.Before(s.to) {
		return errAway
	}
	return nil
}

func (s *awayStore) Create(ctx context.Context, key string, meta map[string]string) (string, error) {
	if err := s.away(); err != nil {
		return "", err
	}
	return s.Memory.Create(ctx, key, meta)
}

func (s *awayStore) PutPart(ctx context.Context, key, id string, n int, b sink.Body) (sink.Part, error) {
	if err := s.away(); err != nil {
		return sink.Part{}, err
	}
	return s.Memory.PutPart(ctx, key, id, n, b)
}

func (s *awayStore) Complete(ctx context.Context, key, id string, parts []sink.Part) error {
	if err := s.away(); err != nil {
		return err
	}
	return s.Memory.Complete(ctx, key, id, parts)
}

// A store that refuses ends the lane at once, with what it said.
func TestStoreThatRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipeline.New(pipeline.Config{})
		p.Read(source.Values(events(10, 1)...)).Write(sink.Folder{Store: refusing{&sinktest.Memory{}}, Prefix: "raw"}, jsonl)
		began := time.Now()
		err := p.Run(t.Context())
		if !errors.Is(err, sink.ErrRefused) || !strings.Contains(err.Error(), "s3:PutObject") || time.Since(began) > time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

type refusing struct{ *sinktest.Memory }

func (refusing) Create(context.Context, string, map[string]string) (string, error) {
	return "", fmt.Errorf("%w: allow s3:PutObject", sink.ErrRefused)
}

// An encoder that fails to close, or to encode, leaves nothing visible and does
// not move the position (case A6).
func TestEncoderThatFails(t *testing.T) {
	for _, at := range []string{"begin", "encode", "close"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			run := func(format func() (sink.Format[event], error)) error {
				p := pipeline.New(pipeline.Config{Leases: w.leases})
				in := p.Read(source.Values(events(10, 1)...))
				in.Write(w.lake.Folder("good"), jsonl)
				in.Write(w.lake.Folder("bad"), format)
				return p.Run(t.Context())
			}
			err := run(func() (sink.Format[event], error) { return failing{at: at}, nil })
			var where *pipeline.Error
			if err == nil || !strings.Contains(err.Error(), "torn "+at) || !errors.As(err, &where) || where.Lane != "values-0" {
				t.Fatalf("%s: %v", at, err)
			}
			if got := w.lake.Objects(); len(got) != 0 {
				t.Errorf("%s: %d files are visible", at, len(got))
			}
			if err := run(jsonl); err != nil {
				t.Fatal(err)
			}
			if got := rows(w.lake.Objects()); len(got) != 20 {
				t.Errorf("%s: %d rows after the second run, want 20", at, len(got))
			}
		})
	}
}

type failing struct {
	lines[event]
	at string
}

func (f failing) fail(at string) error {
	if f.at == at {
		return errors.New("torn " + at)
	}
	return nil
}

func (f failing) NewEncoder(w sink.FileWriter, i sink.FileInfo) (sink.Encoder[event], error) {
	e, err := f.lines.NewEncoder(w, i)
	return failingEncoder{e, f}, errors.Join(err, f.fail("begin"))
}

type failingEncoder struct {
	sink.Encoder[event]
	f failing
}

func (e failingEncoder) Encode(rows []event) error {
	return errors.Join(e.f.fail("encode"), e.Encoder.Encode(rows))
}

func (e failingEncoder) Close(i sink.FileInfo) error {
	return errors.Join(e.f.fail("close"), e.Encoder.Close(i))
}
