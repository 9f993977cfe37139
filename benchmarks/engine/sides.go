package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/dir"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
)

// count is what both sides do with a row at the end.
type count struct {
	rows, sum int64
}

func (c *count) add(v *View) { c.rows++; c.sum += int64(v.Millis) }

func contests(n int) ([]contest, error) {
	rows := clicks(n)
	recs, err := records(rows)
	if err != nil {
		return nil, err
	}
	return []contest{
		{"filter, map, map; rows in memory", n, func() (int64, error) { return handBare(rows) }, func() (int64, error) { return engineBare(rows) }},
		{"the same behind a JSON decoder", n, func() (int64, error) { return handJSON(recs) }, func() (int64, error) { return engineJSON(recs) }},
		{"rows in memory to Parquet zstd", n, func() (int64, error) { return handParquet(rows) }, func() (int64, error) { return engineParquet(rows) }},
	}, nil
}

func handBare(rows []Click) (int64, error) {
	var c count
	for i := range rows {
		if !wanted(rows[i]) {
			continue
		}
		v := round(toView(rows[i]))
		c.add(&v)
	}
	return c.rows, nil
}

func engineBare(rows []Click) (int64, error) {
	var end counting
	p := pipeline.New(pipeline.Config{})
	p.Read(source.Values(rows...).At(Click.when)).
		Via(stage.Filter(wanted)).Via(stage.Map(toView)).Via(stage.Map(round)).Into(&end)
	err := p.Run(context.Background())
	return end.rows, err
}

func handJSON(recs []shardlake.Record) (int64, error) {
	var c count
	d, err := codec.JSON[Click]()
	if err != nil {
		return 0, err
	}
	rows := make([]Click, 64) // as many as a lane decodes at once
	for len(recs) > 0 {
		n := min(len(rows), len(recs))
		if _, err := d.Decode(context.Background(), recs[:n], rows[:n]); err != nil {
			return 0, err
		}
		for i := range rows[:n] {
			if wanted(rows[i]) {
				v := round(toView(rows[i]))
				c.add(&v)
			}
		}
		recs = recs[n:]
	}
	return c.rows, nil
}

func engineJSON(recs []shardlake.Record) (int64, error) {
	var end counting
	p := pipeline.New(pipeline.Config{})
	p.Read(inMemory{recs}).
		Via(stage.Filter(wanted)).Via(stage.Map(toView)).Via(stage.Map(round)).Into(&end)
	err := p.Run(context.Background())
	return end.rows, err
}

// batch is how many rows the hand loop gives the encoder at once.
const batch = 256

func handParquet(rows []Click) (_ int64, err error) {
	folder, err := os.MkdirTemp("", "shardlake-bench-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	f, err := os.Create(filepath.Join(folder, "rows.parquet"))
	if err != nil {
		return 0, err
	}
	format, err := parquet.Format[View]()
	if err != nil {
		return 0, err
	}
	enc, err := format.NewEncoder(plainFile{f}, sink.FileInfo{})
	if err != nil {
		return 0, err
	}
	defer enc.Abandon()
	var c count
	out := make([]View, 0, batch)
	for i := range rows {
		if !wanted(rows[i]) {
			continue
		}
		out = append(out, round(toView(rows[i])))
		c.add(&out[len(out)-1])
		if len(out) == batch {
			if err := enc.Encode(out); err != nil {
				return 0, err
			}
			out = out[:0]
		}
	}
	if err := enc.Encode(out); err != nil {
		return 0, err
	}
	if err := enc.Close(sink.FileInfo{}); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	return c.rows, f.Close()
}

// plainFile is a file as an encoder wants it. Parquet never patches its head.
type plainFile struct{ *os.File }

func (plainFile) HoldHead()                   {}
func (plainFile) PatchHead(int, []byte) error { return fmt.Errorf("no head is held") }

func engineParquet(rows []Click) (_ int64, err error) {
	folder, err := os.MkdirTemp("", "shardlake-bench-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	var c count
	p := pipeline.New(pipeline.Config{})
	p.Read(source.Values(rows...).At(Click.when)).
		Via(stage.Filter(wanted)).Via(stage.Map(toView)).Via(stage.Map(func(v View) View { v = round(v); c.add(&v); return v })).
		Write(dir.Lake(folder).Folder("views"), parquet.Format)
	err = p.Run(context.Background())
	return c.rows, err
}

// counting is a sink that does with a row what the hand loop does.
type counting struct {
	sink.Discard[View]
	count
}

func (c *counting) Open(*shardlake.Env) (sink.Writer[View], error) { return c, nil }
func (c *counting) Write(_ context.Context, b shardlake.Batch[View]) error {
	for i := range b.Rows {
		c.add(&b.Rows[i])
	}
	return nil
}
func (c *counting) Seal(context.Context) ([]shardlake.Pending, error) { return nil, nil }
func (c *counting) Buffered() int64                                   { return 0 }
func (c *counting) Close() error                                      { return nil }
