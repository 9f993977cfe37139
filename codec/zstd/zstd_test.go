package zstd_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	library "github.com/klauspost/compress/zstd"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/codec/zstd"
)

func packed(t testing.TB, payload string, options ...library.EOption) []byte {
	t.Helper()
	w, err := library.NewWriter(nil, append([]library.EOption{library.WithEncoderConcurrency(1)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	b := w.EncodeAll([]byte(payload), nil)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b
}

func answers[T any](t testing.TB, c func() (codec.Decoder[T], error), payloads ...[]byte) (rows []T, errs []error) {
	t.Helper()
	d, err := c()
	if err != nil {
		t.Fatal(err)
	}
	rows, errs = make([]T, len(payloads)), make([]error, len(payloads))
	for i, p := range payloads {
		_, errs[i] = d.Decode(t.Context(), []shardlake.Record{{Data: p}}, rows[i:i+1])
	}
	return rows, errs
}

func refused(err error, reason string) bool {
	return err != nil && strings.HasPrefix(err.Error(), "rejected: zstd: ") && strings.Contains(err.Error(), reason)
}

// Each record comes back unpacked or refused, and the reader is used again after
// any fault.
func TestUnpack(t *testing.T) {
	text := strings.Repeat("some text, ", 300)
	whole := packed(t, text)
	with := func(edit func(b []byte) []byte) []byte { return edit(bytes.Clone(whole)) }
	skip := []byte{0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3}
	// A frame without a single segment, with a window of 2^(10+exponent) bytes and one
	// raw block of one byte, the last one.
	window := func(exponent byte) []byte {
		return []byte{0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3, 1 | 1<<3, 0, 0, 'x'}
	}
	for _, test := range []struct {
		name   string
		data   []byte
		want   string
		reason string
	}{
		{"one frame", whole, text, ""},
		{"without checksum", packed(t, text, library.WithEncoderCRC(false)), text, ""},
		{"two frames", slices.Concat(packed(t, "a"), packed(t, "b")), "ab", ""},
		{"frames to pass over", slices.Concat(skip, packed(t, "a"), skip), "a", ""},
		{"nothing inside", packed(t, "", library.WithZeroFrames(true)), "", ""},
		{"window of 8 MiB", window(13), "x", ""},
		{"window of 16 MiB", window(14), "", "larger window than 8388608 bytes: see Config.Window"},
		{"window of 2 TiB", window(31), "", "Config.Window"},
		{"no payload", nil, "", "the payload is empty"},
		{"plain", []byte(`{"n":1}`), "", "see Config.Plain"},
		{"one byte", []byte{0x28}, "", "begins with 28"},
		{"magic alone", whole[:4], "", "unexpected EOF"},
		{"cut in the data", whole[:len(whole)-8], "", "unexpected EOF"},
		{"cut in the checksum", whole[:len(whole)-1], "", "unexpected EOF"},
		{"wrong checksum", with(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), "", "CRC"},
		{"one byte behind", with(func(b []byte) []byte { return append(b, 0) }), "", "unexpected EOF"},
		{"three bytes behind", with(func(b []byte) []byte { return append(b, 1, 2, 3) }), "", "unexpected EOF"},
		{"text behind", with(func(b []byte) []byte { return append(b, "garbage"...) }), "", "magic"},
		{"a frame to pass over is cut", slices.Concat(whole, skip[:9]), "", "EOF"},
		{"dictionary", []byte{0x28, 0xb5, 0x2f, 0xfd, 1, 0, 7, 1 | 1<<3, 0, 0, 'x'}, "", "dictionary"},
		{"too short a length", []byte{0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 1 | 2<<3, 0, 0, 'x', 'y'}, "", ""},
		{"huge length", binary.LittleEndian.AppendUint64([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0}, 1<<40), "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			rows, errs := answers(t, zstd.Unpack(codec.Raw), whole, test.data, whole)
			if string(rows[0]) != text || string(rows[2]) != text || errs[0] != nil || errs[2] != nil {
				t.Errorf("the records around: %q, %q, %v", rows[0], rows[2], errs)
			}
			good := test.want != "" || test.name == "nothing inside"
			if good && (errs[1] != nil || string(rows[1]) != test.want) || !good && !refused(errs[1], test.reason) {
				t.Errorf("%.40q, %v; want %.40q, %q", rows[1], errs[1], test.want, test.reason)
			}
		})
	}
}

func TestPlainPayloadsPassIfTold(t *testing.T) {
	rows, errs := answers(t, zstd.Config{Plain: true}.Unpack(codec.JSON[map[string]int]), packed(t, `{"n":1}`), []byte(`{"n":2}`))
	if errs[0] != nil || errs[1] != nil || rows[0]["n"] != 1 || rows[1]["n"] != 2 {
		t.Errorf("%v, %v", rows, errs)
	}
}

// Zstandard packs zeros ten thousand times and more. Neither a bomb nor a claim
// takes more memory than the limits and the window say.
func TestBombsAreStopped(t *testing.T) {
	bomb := packed(t, strings.Repeat("\x00", 32<<20))
	claim := binary.LittleEndian.AppendUint64([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xc0, 0x68, 0, 0, 0}, 60<<20)
	for _, data := range [][]byte{bomb, claim} {
		for _, limits := range []codec.Limits{{}, {Bytes: 100}, {Ratio: 10}} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, errs := answers(t, zstd.Config{Limits: limits}.Unpack(codec.Raw), data)
			runtime.ReadMemStats(&after)
			if !refused(errs[0], "") {
				t.Errorf("%+v: %v", limits, errs[0])
			}
			most := uint64(6*limits.Most(len(data))) + 3*8<<20
			if used := after.TotalAlloc - before.TotalAlloc; used > most {
				t.Errorf("%d bytes, %+v: %d bytes of memory, want at most %d", len(data), limits, used, most)
			}
		}
	}
	if rows, errs := answers(t, zstd.Config{Limits: codec.Limits{Ratio: 1e6}}.Unpack(codec.Raw), bomb); errs[0] != nil || len(rows[0]) != 32<<20 {
		t.Errorf("with limits above: %d bytes, %v", len(rows[0]), errs[0])
	}
}

// A decoder is dropped with its lane and never closed: it must not own a goroutine.
func TestNoGoroutineIsLeft(t *testing.T) {
	data := packed(t, strings.Repeat("some text, ", 90000))
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine stays
		_, errs := answers(t, zstd.Unpack(codec.Raw), data, data[:len(data)/2], data)
		if errs[0] != nil || errs[1] == nil || errs[2] != nil {
			t.Error(errs)
		}
	})
}

func TestSettingsAreChecked(t *testing.T) {
	for _, c := range []zstd.Config{{Window: 1}, {Window: 1 << 40}, {Window: -1}, {Limits: codec.Limits{Ratio: -1}}} {
		if _, err := c.Unpack(codec.Raw)(); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(packed(f, "some text"))
	f.Add(packed(f, strings.Repeat("ab", 1000)))
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0, 3 | 16<<3, 0, 0, 'x'})
	f.Fuzz(func(t *testing.T, data []byte) {
		c := zstd.Config{Limits: codec.Limits{Bytes: 1 << 12}, Window: 1 << 16}.Unpack(codec.Raw)
		rows, errs := answers(t, c, data)
		if errs[0] == nil && len(rows[0]) > 1<<12 || errs[0] != nil && !refused(errs[0], "") {
			t.Errorf("%d bytes, %v", len(rows[0]), errs[0])
		}
	})
}

func Example() {
	type click struct{ URL string }
	clicks := zstd.Unpack(codec.JSON[click]) // kinesis.Source(cfg, clicks, ...)

	w, err := library.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	data := w.EncodeAll([]byte(`{"URL":"https://example.org"}`), nil)
	if err := w.Close(); err != nil {
		panic(err)
	}
	d, err := clicks()
	if err != nil {
		panic(err)
	}
	rows := make([]click, 2)
	n, err := d.Decode(context.Background(), []shardlake.Record{{Data: data}, {Data: data[:30]}}, rows)
	fmt.Println(rows[:n], err)
	// Output: [{https://example.org}] rejected: zstd: at byte 30 of 30: unexpected EOF
}
