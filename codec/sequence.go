package codec

import (
	"bytes"
	"context"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unsafe"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec/internal/jsonrow"
)

// Sequence is the rows of one record in their order. It shares memory with those of
// other records: up to 4 KiB stay for the sake of one that is kept.
type Sequence[T any] []T

// Each emits the rows in their order, for stage.FlatMap.
func (s Sequence[T]) Each(emit func(T)) {
	for i := range s {
		emit(s[i])
	}
}

// Earliest makes a function from a record's rows to its event time of one from a row
// to its own: the earliest, so that no row is late because of its neighbours. A lane
// has one time for each record: all rows of a record have it, until stage.At gives each
// its own. Without rows it is the zero time.
func Earliest[T any](when func(T) time.Time) func(Sequence[T]) time.Time {
	return func(s Sequence[T]) (first time.Time) {
		for i := range s {
			if t := when(s[i]); i == 0 || t.Before(first) {
				first = t
			}
		}
		return first
	}
}

// JSONSequence decodes a record that holds any number of JSON documents, one behind
// the other, with the default limits. With stage.FlatMap each becomes a row of its
// own:
//
//	clicks := kinesis.Source(cfg, codec.JSONSequence, codec.Earliest(Click.when))
//	p.Read(clicks).Via(stage.FlatMap(codec.Sequence[Click].Each))
//
// Between two documents there is white space, such as the line ends of JSON Lines, or
// nothing behind an object, a list or a string: what is called concatenated JSON, as
// Firehose writes it. A number or a word needs white space behind it: 1.5.2 is no
// two numbers. A byte order mark in front of the first document is passed over.
// Commas between documents, and the record separators of RFC 7464, are refused.
//
// Each document is decoded as [JSON] does, and refused for the same reasons: a bare
// null is none. All or nothing: one document that is refused makes a dead letter of
// the record as a whole, which names the document, and none of its rows is emitted.
// A record without documents, empty or white space alone, is skipped, and the lane
// counts it: there is nothing in it to lose.
//
// All rows of a record have its position, so that they are committed together.
func JSONSequence[T any]() (Decoder[Sequence[T]], error) {
	return JSONSequenceConfig{}.Codec[T]()
}

// JSONSequenceConfig holds the settings of [JSONSequence]. The zero value is the
// default.
type JSONSequenceConfig struct {
	// Limits bound what the rows of one record take, as what it is unpacked to: each
	// is as large as its Go type, and 64 bytes at least. A document of two bytes may
	// make a large row, and a record has room for millions of them. What a row points
	// to is not counted.
	Limits Limits
}

// Codec is JSONSequence with these settings:
//
//	codec.JSONSequenceConfig{Limits: codec.Limits{Bytes: 1 << 20}}.Codec
func (c JSONSequenceConfig) Codec[T any]() (Decoder[Sequence[T]], error) {
	t := reflect.TypeFor[T]()
	if err := c.Limits.Validate(); err != nil {
		return nil, fmt.Errorf("codec: JSON sequence: %w", err)
	}
	if err := fillable(t); err != nil {
		return nil, err
	}
	program := jsonrow.Compile(t, func(value []byte, pointer any) error {
		return json.Unmarshal(value, pointer, lenient)
	})
	return &sequences[T]{limits: c.Limits, fast: program.NewDecoder()}, nil
}

const (
	// sequenceSlab is about how many bytes of rows are allocated at once.
	sequenceSlab = 4 << 10
	// largeSequence is how many bytes make a large record.
	largeSequence = 64 << 10
	// leastRow is what the stages need for the smallest row.
	leastRow = 64
)

type sequences[T any] struct {
	limits Limits
	fast   *jsonrow.Decoder
	// room is for the next rows: zero, and nobody else's.
	room []T
}

func (d *sequences[T]) Decode(_ context.Context, records []shardlake.Record, rows []Sequence[T]) (n int, err error) {
	for beside := int64(0); n < len(records) && beside < Enough; n++ {
		if rows[n], err = d.record(&records[n]); err != nil {
			return n, err
		}
		beside += max(0, int64(len(rows[n]))*rowBytes[T]()-int64(len(records[n].Data)))
	}
	return n, nil
}

// rowBytes is what a row counts.
func rowBytes[T any]() int64 {
	var row T
	return max(leastRow, int64(unsafe.Sizeof(row)))
}

func (d *sequences[T]) record(r *shardlake.Record) (Sequence[T], error) {
	data := bytes.TrimPrefix(r.Data, bom)
	mark := len(r.Data) - len(data)
	n, large := 0, len(data) > largeSequence
	if large {
		d.room = nil // its rows may point to much, which those of other records shall not keep alive
	}
	defer func() {
		if large || n > slab[T]() {
			d.room = nil // nor shall the decoder, which lives as long as its lane
		}
	}()
	for i := jsonrow.Space(data, 0); i < len(data); n++ {
		if err := d.fits(n+1, len(r.Data)); err != nil {
			clear(d.room[:n])
			return nil, err
		}
		if n == len(d.room) {
			d.grow(n)
		}
		size, err := d.document(data[i:], &d.room[n])
		if err != nil {
			clear(d.room[:n+1])
			return nil, shardlake.Reject(fmt.Errorf("json: document %d, from byte %d: %s", n+1, mark+i, strings.TrimPrefix(err.Error(), "json: ")))
		}
		i = jsonrow.Space(data, i+size)
	}
	if n == 0 {
		return nil, shardlake.ErrSkip
	}
	rows := d.room[:n:n]
	d.room = d.room[n:]
	return rows, nil
}

// fits holds n rows of a payload against the limits.
func (d *sequences[T]) fits(n, payload int) error {
	most := d.limits.Most(payload)
	if int64(n) <= most/rowBytes[T]() {
		return nil
	}
	return shardlake.Reject(fmt.Errorf("json: the rows of %d bytes take more than %d, the limit, from document %d on: see JSONSequenceConfig.Limits", payload, most, n))
}

// slab is how many rows are allocated at once.
func slab[T any]() int {
	var row T
	return max(1, sequenceSlab/max(1, int(unsafe.Sizeof(row))))
}

// grow makes room for more than the n rows that fill it. Rows of other records may
// share that memory.
func (d *sequences[T]) grow(n int) {
	room := make([]T, max(2*n, slab[T]()))
	copy(room, d.room)
	clear(d.room)
	d.room = room
}

// document decodes the one that data begins with into a row that is zero, and
// returns its length.
func (d *sequences[T]) document(data []byte, row *T) (size int, err error) {
	if size = d.fast.First(data, reflect.ValueOf(row).UnsafePointer()); size < 0 {
		// encoding/json/v2 says why it is refused, or decodes what the program leaves. How
		// far it reaches is all that matters first, and a bytes.Buffer is not copied.
		value, err := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)).ReadValue()
		if err != nil {
			return 0, describe(err, len(data))
		}
		if *row, err = document[T](&shardlake.Record{Data: value}); err != nil {
			return 0, errors.Unwrap(err)
		}
		size = len(value)
	}
	if last := data[size-1]; size < len(data) && last != '}' && last != ']' && last != '"' && jsonrow.Space(data, size) == size {
		return 0, fmt.Errorf("it ends at byte %d and no white space is behind it", size)
	}
	return size, nil
}
