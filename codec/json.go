package codec

import (
	"bytes"
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec/internal/jsonrow"
)

// JSON decodes one JSON document. What is not one becomes a dead letter: no
// document or two, truncated, deeper than 10,000 levels, numbers that do not fit
// their field, strings that are not UTF-8, a name given twice, a bare null.
//
// A byte order mark is passed over. Members without a field are ignored; names
// must match in case. A lone surrogate escape becomes U+FFFD. Numbers that land
// in an any come as json.Number with all their digits; in a float64 field they
// are rounded as any float is.
//
// Fields, tags and methods have the meaning that encoding/json/v2 gives them. Rows
// of usual types are filled by a program that is made here, from the type; fields
// of other types, and documents that are to be refused, are decoded by
// encoding/json/v2 itself, so methods such as UnmarshalJSON may be called twice for
// a document that is refused. A type that no object can fill is an error: struct
// tags that contradict each other, a channel.
//
// Strings, and the elements of slices, are copied out of the record into memory
// that the rows of a few records share: at most 4 KiB stay for the sake of one
// short string.
func JSON[T any]() (Decoder[T], error) {
	if err := fillable(reflect.TypeFor[T]()); err != nil {
		return nil, err
	}
	program := jsonrow.Compile(reflect.TypeFor[T](), func(value []byte, pointer any) error {
		return json.Unmarshal(value, pointer, lenient)
	})
	return &documents[T]{program.NewDecoder()}, nil
}

type documents[T any] struct{ fast *jsonrow.Decoder }

func (d *documents[T]) Decode(_ context.Context, records []shardlake.Record, rows []T) (n int, err error) {
	for n = range records {
		clear(rows[n : n+1])
		if d.fast.Decode(bytes.TrimPrefix(records[n].Data, bom), unsafe.Pointer(&rows[n])) {
			continue
		}
		if rows[n], err = document[T](&records[n]); err != nil {
			return n, err
		}
	}
	return len(records), nil
}

// fillable finds out whether a type, or what it points to, can be filled by an
// object at all, if that is certain: a type with methods of its own may be.
func fillable(t reflect.Type) error {
	root := t
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		if !jsonrow.DecodesItself(t) {
			return fmt.Errorf("codec: JSON has no values for rows of type %s: use a struct", root)
		}
	case reflect.Struct:
		if jsonrow.DecodesItself(t) {
			return nil
		}
		err := json.Unmarshal([]byte("{}"), reflect.New(t).Interface(), lenient)
		if e, ok := errors.AsType[*json.SemanticError](err); ok {
			return fmt.Errorf("codec: JSON cannot fill rows of type %s: %w", root, e.Err)
		}
		return err
	}
	return nil
}
