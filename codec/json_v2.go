package codec

import (
	"bytes"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	jsonv1 "encoding/json"

	"github.com/shardlake/shardlake"
)

// document decodes by encoding/json/v2 alone. It is what the program of a type is
// held against, and what says why a document is refused.
func document[T any](r *shardlake.Record) (v T, err error) {
	data := bytes.TrimPrefix(r.Data, bom)
	if !utf8.Valid(data) {
		return v, shardlake.Reject(errors.New("json: the payload is not UTF-8"))
	}
	if err := json.Unmarshal(data, &v, lenient); err != nil {
		var zero T
		return zero, shardlake.Reject(describe(err, len(data)))
	}
	if k := jsontext.Value(data).Kind(); k == 'n' {
		var zero T
		return zero, shardlake.Reject(errors.New("json: the document is null"))
	}
	return v, nil
}

var bom = []byte("\xEF\xBB\xBF")

// lenient is what JSON reads with; it is never changed. That bytes are UTF-8 is
// known by then: what is allowed here are lone surrogate escapes.
var lenient = json.JoinOptions(
	jsontext.AllowInvalidUTF8(true),
	json.WithUnmarshalers(json.UnmarshalFromFunc(keepDigits)),
)

// keepDigits is asked for each any: a number there would be a float64, which
// rounds integers beyond 2^53.
func keepDigits(d *jsontext.Decoder, v *any) error {
	if d.PeekKind() != '0' {
		return errors.ErrUnsupported
	}
	n, err := d.ReadValue()
	if err == nil {
		*v = jsonv1.Number(n)
	}
	return err
}

// describe keeps the position in the document and leaves the payload out.
func describe(err error, size int) error {
	if size == 0 {
		return errors.New("json: the payload is empty")
	}
	if sem, ok := errors.AsType[*json.SemanticError](err); ok {
		return misfit(sem)
	}
	// The library's own prefixes say which half of it found the fault.
	return errors.New("json: " + strings.TrimPrefix(strings.TrimPrefix(err.Error(), "json: "), "jsontext: "))
}

// misfit says where a value does not fit its field. The library's text is not
// used: it quotes the value, as its cause may too (time.Parse does), and it
// changes its wording from process to process, so that equal faults would not
// have equal reasons.
func misfit(e *json.SemanticError) error {
	what := "a value"
	switch e.JSONKind {
	case '"':
		what = "a string"
	case '0':
		what = "a number"
	case 't', 'f':
		what = "a bool"
	case 'n':
		what = "a null"
	case '{':
		what = "an object"
	case '[':
		what = "an array"
	}
	where, into, why := "the document", "its field", ""
	if e.JSONPointer != "" {
		where = strconv.Quote(string(e.JSONPointer))
	}
	if e.GoType != nil {
		into = e.GoType.String()
	}
	switch {
	case errors.Is(e.Err, strconv.ErrRange):
		why = ": " + strconv.ErrRange.Error()
	case errors.Is(e.Err, strconv.ErrSyntax):
		why = ": " + strconv.ErrSyntax.Error()
	}
	return fmt.Errorf("json: %s at %s does not fit %s%s", what, where, into, why)
}
