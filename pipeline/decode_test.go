package pipeline_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
)

// decoding is a source of numbers with a decoder of the test's own.
type decoding struct {
	*source.Slices[int]
	made   *int // decoders
	decode func(records []shardlake.Record, rows []int, times []shardlake.Instant) (int, error)
}

func (d decoding) Decoder() (source.Decoder[int], error) { *d.made++; return d, nil }

func (d decoding) Decode(_ context.Context, records []shardlake.Record, rows []int, times []shardlake.Instant) (int, error) {
	return d.decode(records, rows, times)
}

func decoded(t *testing.T, decode func(inner *source.Slices[int], records []shardlake.Record, rows []int, times []shardlake.Instant) (int, error)) (rows []int, made int, err error) {
	t.Helper()
	inner := source.Values(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	var out sink.Collect[int]
	p := pipeline.New(pipeline.Config{})
	p.Read(decoding{inner, &made, func(records []shardlake.Record, rows []int, times []shardlake.Instant) (int, error) {
		return decode(inner, records, rows, times)
	}}).Into(&out)
	p.Dead().Into(sink.Discard[shardlake.DeadLetter]{})
	err = p.Run(t.Context())
	return out.Rows(), made, err
}

// A decoder that stops at each record that it refuses is called again with what
// follows; rows keep their places.
func TestRefusalsWithinABatch(t *testing.T) {
	rows, _, err := decoded(t, func(inner *source.Slices[int], records []shardlake.Record, rows []int, times []shardlake.Instant) (int, error) {
		n, err := inner.Decode(t.Context(), records, rows, times)
		for i := range n {
			switch rows[i] {
			case 0, 3, 4, 9:
				return i, shardlake.Reject(errors.New("not wanted"))
			case 6:
				times[i] = shardlake.MaxEventTime + 1
			}
		}
		return n, err
	})
	if want := []int{1, 2, 5, 7, 8}; err != nil || !slices.Equal(rows, want) {
		t.Errorf("%v, %v; want %v", rows, err, want)
	}
}

// A decoder that miscounts stops the lane: a record would be lost in silence.
func TestDecoderThatMiscounts(t *testing.T) {
	for name, answer := range map[string]func(n int) (int, error){
		"none, no error":      func(int) (int, error) { return 0, nil },
		"all, and an error":   func(n int) (int, error) { return n, shardlake.Reject(errors.New("x")) },
		"more than are there": func(n int) (int, error) { return n + 1, shardlake.Reject(errors.New("x")) },
	} {
		_, _, err := decoded(t, func(inner *source.Slices[int], records []shardlake.Record, rows []int, times []shardlake.Instant) (int, error) {
			if _, err := inner.Decode(t.Context(), records, rows, times); err != nil {
				return 0, err
			}
			return answer(len(records))
		})
		if err == nil || !strings.Contains(err.Error(), "breaks its contract") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A decoder that has enough gets the rest later, and its rows go through the
// stages before: what it made takes much memory.
func TestDecoderThatHasEnough(t *testing.T) {
	var calls []int
	rows, _, err := decoded(t, func(inner *source.Slices[int], records []shardlake.Record, rows []int, times []shardlake.Instant) (int, error) {
		calls = append(calls, len(records))
		n := min(4, len(records))
		return inner.Decode(t.Context(), records[:n], rows[:n], times[:n])
	})
	if want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}; err != nil || !slices.Equal(rows, want) || !slices.Equal(calls, []int{10, 6, 2}) {
		t.Errorf("%v by calls of %v records, %v", rows, calls, err)
	}
}

// Behind a panic the records are tried one by one, by a new decoder: one that
// panics over nothing but the company that records keep loses none of them.
func TestPanicOverABatch(t *testing.T) {
	rows, made, err := decoded(t, func(inner *source.Slices[int], records []shardlake.Record, rows []int, times []shardlake.Instant) (int, error) {
		if len(records) > 1 {
			panic("boom")
		}
		return inner.Decode(t.Context(), records, rows, times)
	})
	if want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}; err != nil || !slices.Equal(rows, want) || made < 3 {
		t.Errorf("%v by %d decoders, %v", rows, made, err)
	}
}

// The error of a panic names the record that caused it, not the batch.
func TestPanicNamesItsRecord(t *testing.T) {
	_, _, err := decoded(t, func(inner *source.Slices[int], records []shardlake.Record, rows []int, times []shardlake.Instant) (int, error) {
		if slices.ContainsFunc(records, func(r shardlake.Record) bool { return r.Pos.Seq == "7" }) {
			panic("boom")
		}
		return inner.Decode(t.Context(), records, rows, times)
	})
	if at, ok := errors.AsType[*pipeline.Error](err); !ok || at.Stage != "decode" || at.Pos.Seq != "7" {
		t.Error(err)
	}
}
