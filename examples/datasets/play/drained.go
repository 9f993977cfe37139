package main

import (
	"context"
	"io"

	"github.com/shardlake/shardlake/source"
)

// drained is a stream that comes to its end: lanes to which nothing was put, those
// that go on where all others were closed, are at the end of their input at once. What
// they have taken over, open windows among it, comes out then; in a stream that goes on
// it would wait for records that never come.
type drained[T any] struct {
	source.Source[T]
	put map[string]string // lanes with records
}

func (d drained[T]) Open(l source.Lane, from source.Start) (source.Fetcher, error) {
	if _, ok := d.put[l.ID]; ok {
		return d.Source.Open(l, from)
	}
	return nothing{}, nil
}

type nothing struct{}

func (nothing) Fetch(context.Context) (source.Chunk, error) { return source.Chunk{}, io.EOF }
func (nothing) Close() error                                { return nil }
