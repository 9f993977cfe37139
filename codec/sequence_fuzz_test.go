package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
)

// split cuts a payload as encoding/json's decoder does, which is not what the codec
// uses. It tells whether every document ends where it may.
func split(payload []byte) (documents [][]byte, ok bool) {
	data := bytes.TrimPrefix(payload, []byte("\uFEFF"))
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		var raw json.RawMessage
		if err := d.Decode(&raw); err == io.EOF {
			return documents, true
		} else if err != nil {
			return nil, false
		}
		end := d.InputOffset()
		if last := raw[len(raw)-1]; !bytes.ContainsAny([]byte{last}, `}]"`) && int(end) < len(data) && !bytes.ContainsAny(data[end:end+1], " \t\r\n") {
			return nil, false
		}
		documents = append(documents, raw)
	}
}

// agree holds a sequence against codec.JSON, document by document.
func agree[T any](t *testing.T, payload []byte) {
	t.Helper()
	got, errs := answers(t, codec.JSONSequence[T], payload)
	documents, ok := split(payload)
	if ok && len(documents) == 0 {
		if !errors.Is(errs[0], shardlake.ErrSkip) {
			t.Fatalf("%q: no documents, %v", payload, errs[0])
		}
		return
	}
	want, wrong := answers(t, codec.JSON[T], documents...)
	for _, err := range wrong {
		ok = ok && err == nil
	}
	if ok != (errs[0] == nil) || !ok && (!refused(errs[0]) || got[0] != nil) {
		t.Fatalf("%q: %v, %v; one by one: %v", payload, got[0], errs[0], wrong)
	}
	if ok && !reflect.DeepEqual(want, []T(got[0])) {
		t.Fatalf("%q: %v, want %v", payload, got[0], want)
	}
}

// FuzzJSONSequence compares with one record for each document, cut by encoding/json.
func FuzzJSONSequence(f *testing.F) {
	for _, s := range []string{
		"{\"n\":1}\n{\"n\":2}\n", `{"id":1}{"id":2}`, "", " \n", "\uFEFF{}\uFEFF{}", "1 2", "01", "1.5.2", `""""`, "[][]", "{}1", "1{}", "{},{}", "null", "{}null", `{"name":"}{"}{"id":"1"}`,
		"{}\x1e{}", "{\"a\":1,\"a\":2}{}", "\"\xff\"{}", `{"any":[{"x":1e9}]}{"tags":["a"]}`, "tru e", "nul", "-", "{}\x00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		agree[any](t, payload)
		agree[event](t, payload)
		agree[map[int]any](t, payload)
	})
}
