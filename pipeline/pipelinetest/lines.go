package pipelinetest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/shardlake/shardlake/sink"
)

// JSON is a file format for simulations, passed to Stream.Write like any other:
// one JSON value per line, as encoding/json writes it. Lines reads it back.
func JSON[T any]() (sink.Format[T], error) { return lines[T]{}, nil }

// Lines reads a file of format JSON. It fails if a line is not a T as a whole.
func Lines[T any](file []byte) (rows []T, _ error) {
	for l := range bytes.Lines(file) {
		if !bytes.HasSuffix(l, []byte("\n")) {
			return nil, fmt.Errorf("the last line is torn: %q", l)
		}
		var row T
		d := json.NewDecoder(bytes.NewReader(l))
		d.DisallowUnknownFields()
		if err := d.Decode(&row); err != nil {
			return nil, fmt.Errorf("%w in line %q", err, l)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

type lines[T any] struct{}

func (lines[T]) Ext() string    { return "jsonl" }
func (lines[T]) Check(*T) error { return nil }
func (lines[T]) NewEncoder(w sink.FileWriter, _ sink.FileInfo) (sink.Encoder[T], error) {
	b := bufio.NewWriterSize(w, 64) // small: parts are, too
	return &lineEncoder[T]{b, json.NewEncoder(b), false}, nil
}

type lineEncoder[T any] struct {
	w      *bufio.Writer
	enc    *json.Encoder
	closed bool
}

var errClosed = errors.New("pipelinetest: the file is closed")

func (e *lineEncoder[T]) Encode(rows []T) error {
	if e.closed {
		return errClosed
	}
	for i := range rows {
		if err := e.enc.Encode(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}

func (e *lineEncoder[T]) Buffered() int64 { return int64(e.w.Buffered()) }

func (e *lineEncoder[T]) Close(sink.FileInfo) error {
	if e.closed {
		return errClosed
	}
	e.closed = true
	return e.w.Flush()
}

func (e *lineEncoder[T]) Abandon() {}
