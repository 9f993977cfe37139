package codec_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
)

// counting is an inner decoder that says how many records it was given, and answers
// with less by so many.
type counting struct {
	less  int
	given []int
}

func (c *counting) Decode(_ context.Context, records []shardlake.Record, _ []string) (int, error) {
	c.given = append(c.given, len(records))
	return len(records) - c.less, nil
}

type sealed struct{}

func (sealed) Unpack(_ context.Context, r *shardlake.Record) ([]byte, error) {
	if string(r.Data) == "sealed" {
		return nil, shardlake.Reject(errors.New("it is sealed"))
	}
	return r.Data, nil
}

func unpacked(t *testing.T, inner *counting, payloads ...string) (int, error) {
	t.Helper()
	d, err := codec.Unpack(func() (codec.Decoder[string], error) { return inner, nil }, func() (codec.Unpacker, error) { return sealed{}, nil })()
	if err != nil {
		t.Fatal(err)
	}
	records := make([]shardlake.Record, len(payloads))
	for i := range records {
		records[i].Data = []byte(payloads[i])
	}
	return d.Decode(t.Context(), records, make([]string, len(records)))
}

// A record that cannot be unpacked is the one that is named, wherever it stands;
// the inner decoder never sees it, nor nothing at all.
func TestUnpackNamesTheRecord(t *testing.T) {
	for at, payloads := range [][]string{{"sealed", "b"}, {"a", "sealed", "c"}, {"a", "b", "sealed"}} {
		var inner counting
		n, err := unpacked(t, &inner, payloads...)
		if n != at || err == nil || !strings.Contains(err.Error(), "it is sealed") {
			t.Errorf("%q: %d rows, %v", payloads, n, err)
		}
		for _, given := range inner.given {
			if given != at {
				t.Errorf("%q: the inner decoder was given %d records", payloads, given)
			}
		}
	}
}

// swelling makes a megabyte of each byte.
type swelling struct{}

func (swelling) Unpack(_ context.Context, r *shardlake.Record) ([]byte, error) {
	return make([]byte, len(r.Data)<<20), nil
}

// Payloads that expand much are unpacked and decoded a few at a time: a decoder
// that has enough says so by a number of rows below that of the records.
func TestUnpackStopsAtEnough(t *testing.T) {
	var inner counting
	d, err := codec.Unpack(func() (codec.Decoder[string], error) { return &inner, nil }, func() (codec.Unpacker, error) { return swelling{}, nil })()
	if err != nil {
		t.Fatal(err)
	}
	records := make([]shardlake.Record, 100)
	for i := range records {
		records[i].Data = []byte("x")
	}
	for at := 0; at < len(records); {
		n, err := d.Decode(t.Context(), records[at:], make([]string, len(records)-at))
		if n != 1 || err != nil {
			t.Fatalf("at %d: %d rows, %v", at, n, err)
		}
		at += n
	}
}

// What an inner decoder leaves is not passed over: neither for a record behind it
// that cannot be unpacked, nor for one that can.
func TestUnpackOverADecoderThatHasEnough(t *testing.T) {
	for _, payloads := range [][]string{{"a", "b", "c"}, {"a", "b", "sealed"}} {
		n, err := unpacked(t, &counting{less: 1}, payloads...)
		want := len(payloads) - 1
		if payloads[2] == "sealed" {
			want--
		}
		if n != want || err != nil {
			t.Errorf("%q: %d rows, %v", payloads, n, err)
		}
	}
}
