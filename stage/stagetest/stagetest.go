// Package stagetest runs a stage without a pipeline, a source or a clock. It is
// for tests.
package stagetest

import (
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
)

// Run returns what st makes of rows given to a fresh lane and its end. All rows
// happened in 1970; for other times, or
// to see dead letters and marks, open a Lane.
func Run[In, Out any](st stage.Stage[In, Out], rows ...In) ([]Out, error) {
	l, err := Open(st, nil)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if err := l.Push(time.Unix(0, 0), rows...); err != nil {
		return nil, err
	}
	err = l.Mark(shardlake.Mark{Watermark: shardlake.Forever, Commit: true})
	return l.Rows, err
}

// Lane is one opened stage. Rows, Times, Marks and Dead collect what came out.
// It is for one goroutine.
type Lane[In, Out any] struct {
	Rows  []Out
	Times []shardlake.Instant // event time of each of Rows
	Marks []shardlake.Mark
	Dead  []shardlake.DeadLetter
	in    shardlake.Emit[In]
	env   *shardlake.Env
	kept  shardlake.Kept
	seq   int
	high  shardlake.Instant
}

// Open opens st in a lane "test" with the state of an earlier Snapshot, or nil.
// The caller closes the lane.
func Open[In, Out any](st stage.Stage[In, Out], state shardlake.Kept) (*Lane[In, Out], error) {
	l := &Lane[In, Out]{high: shardlake.Never, kept: state}
	l.env = shardlake.NewEnv(context.Background(), shardlake.Host{Source: "test", Lane: "test", State: state,
		Dead: func(_ context.Context, _ *shardlake.Record, d shardlake.DeadLetter) error {
			l.Dead = append(l.Dead, d)
			return nil
		}})
	in, err := st(l.env, (*end[In, Out])(l))
	if err != nil {
		l.Close()
		return nil, err
	}
	l.in = in
	return l, nil
}

// Push gives rows that happened at t, as one batch, at positions 1, 2, 3, ..., all
// under one partition key.
func (l *Lane[In, Out]) Push(t time.Time, rows ...In) error {
	if len(rows) == 0 {
		return nil
	}
	l.high = max(l.high, shardlake.At(t))
	b := shardlake.Batch[In]{Rows: rows}.Clone()
	for i := range rows {
		l.seq++
		seq := strconv.Itoa(l.seq)
		b.Records = append(b.Records, shardlake.Record{Pos: shardlake.Position{Seq: seq}, Data: []byte(seq), Watermark: l.high})
		b.Origins = append(b.Origins, shardlake.Origin{Time: shardlake.At(t), Record: int32(i)})
	}
	return l.in.Push(context.Background(), b)
}

// Mark gives a mark.
func (l *Lane[In, Out]) Mark(m shardlake.Mark) error { return l.in.Mark(context.Background(), m) }

// Snapshot takes the state, for Open, as a commit would hold it.
func (l *Lane[In, Out]) Snapshot() (shardlake.Kept, error) {
	next, err := l.env.Snapshot()
	if err != nil {
		return nil, err
	}
	for k, b := range next {
		if b == nil {
			next[k] = l.kept[k] // it has not changed
		}
	}
	l.kept = maps.Clone(next)
	return next, nil
}

// Close ends the stage's goroutines and waits for them.
func (l *Lane[In, Out]) Close() { l.env.Close() }

type end[In, Out any] Lane[In, Out]

func (e *end[In, Out]) Push(_ context.Context, b shardlake.Batch[Out]) error {
	e.Rows = append(e.Rows, b.Rows...)
	for _, o := range b.Origins[:len(b.Rows)] {
		e.Times = append(e.Times, o.Time)
	}
	return nil
}

func (e *end[In, Out]) Mark(_ context.Context, m shardlake.Mark) error {
	e.Marks = append(e.Marks, m)
	return nil
}
