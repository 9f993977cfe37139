package codec_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
)

func gzipped(t testing.TB, payload string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, payload)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// answers decodes records one after another, as a lane does: what each gives, and
// the error of each that gives no row.
func answers[T any](t testing.TB, c func() (codec.Decoder[T], error), payloads ...[]byte) (rows []T, errs []error) {
	t.Helper()
	d, err := c()
	if err != nil {
		t.Fatal(err)
	}
	records := make([]shardlake.Record, len(payloads))
	for i := range records {
		records[i] = shardlake.Record{Pos: shardlake.Position{Seq: fmt.Sprint(i + 1)}, Key: fmt.Sprint("key ", i), Data: payloads[i]}
	}
	rows, errs = make([]T, len(records)), make([]error, len(records))
	for i := 0; i < len(records); {
		n, err := d.Decode(t.Context(), records[i:], rows[i:])
		if i += n; err == nil && n == 0 || err != nil && i == len(records) || i > len(records) {
			t.Fatalf("at %d of %d: error %v", i, len(records), err)
		}
		if err != nil {
			errs[i] = err
			i++
		}
	}
	return rows, errs
}

// refused tells whether an error makes a dead letter.
func refused(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "rejected: ") }

func TestRawIsThePayload(t *testing.T) {
	rows, errs := answers(t, codec.Raw, []byte("a"), nil, []byte{0xff, 0})
	for i, want := range []string{"a", "", "\xff\x00"} {
		if errs[i] != nil || string(rows[i]) != want {
			t.Errorf("%q, %v; want %q", rows[i], errs[i], want)
		}
	}
}

// Each record comes back unpacked or refused, whatever lies before and behind it,
// and readers are used again after any fault.
func TestGzip(t *testing.T) {
	whole := gzipped(t, "some text, some text, some text")
	with := func(edit func(b []byte) []byte) []byte { return edit(bytes.Clone(whole)) }
	for _, test := range []struct {
		name   string
		data   []byte
		want   string
		reason string
	}{
		{"one member", whole, "some text, some text, some text", ""},
		{"two members", slices.Concat(gzipped(t, "a"), gzipped(t, "b")), "ab", ""},
		{"nothing inside", gzipped(t, ""), "", ""},
		{"no payload", nil, "", "the payload is empty"},
		{"plain", []byte(`{"n":1}`), "", "see GzipConfig.Plain"},
		{"one byte", []byte{0x1f}, "", "begins with 1f"},
		{"magic alone", []byte{0x1f, 0x8b}, "", "unexpected EOF"},
		{"cut in the data", whole[:20], "", "unexpected EOF"},
		{"cut in the trailer", whole[:len(whole)-1], "", "unexpected EOF"},
		{"wrong checksum", with(func(b []byte) []byte { b[len(b)-8] ^= 1; return b }), "", "checksum"},
		{"wrong length", with(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), "", "checksum"},
		{"text behind", with(func(b []byte) []byte { return append(b, "garbage garbage"...) }), "", "invalid header"},
		{"a byte behind", with(func(b []byte) []byte { return append(b, 0) }), "", "unexpected EOF"},
		{"zeros behind", with(func(b []byte) []byte { return append(b, make([]byte, 32)...) }), "", "invalid header"},
		{"broken data", with(func(b []byte) []byte { b[10] = 0xff; return b }), "", "corrupt"},
	} {
		t.Run(test.name, func(t *testing.T) {
			rows, errs := answers(t, codec.Gzip(codec.Raw), whole, test.data, whole)
			if string(rows[0]) != string(rows[2]) || errs[0] != nil || errs[2] != nil {
				t.Errorf("the records around: %q, %q, %v", rows[0], rows[2], errs)
			}
			if test.reason == "" {
				if errs[1] != nil || string(rows[1]) != test.want {
					t.Errorf("%q, %v; want %q", rows[1], errs[1], test.want)
				}
			} else if !refused(errs[1]) || !strings.Contains(errs[1].Error(), test.reason) {
				t.Errorf("%v; want a refusal with %q", errs[1], test.reason)
			}
		})
	}
}

// Case E2: some records are gzip, some are plain.
func TestGzipPassesPlainPayloadsIfTold(t *testing.T) {
	rows, errs := answers(t, codec.GzipConfig{Plain: true}.Unpack(codec.JSON[map[string]int]),
		gzipped(t, `{"n":1}`), []byte(`{"n":2}`), nil, gzipped(t, `{"n":4}`)[:12])
	if errs[0] != nil || errs[1] != nil || rows[0]["n"] != 1 || rows[1]["n"] != 2 {
		t.Errorf("%v, %v", rows, errs)
	}
	if !refused(errs[2]) || !refused(errs[3]) {
		t.Errorf("%v", errs[2:])
	}
}

func TestNestedGzipIsUnpackedWhenAskedTwice(t *testing.T) {
	twice := gzipped(t, string(gzipped(t, `{"n":1}`)))
	if _, errs := answers(t, codec.Gzip(codec.JSON[map[string]int]), twice); !refused(errs[0]) {
		t.Errorf("unpacked once: %v", errs[0])
	}
	rows, errs := answers(t, codec.Gzip(codec.Gzip(codec.JSON[map[string]int])), twice)
	if errs[0] != nil || rows[0]["n"] != 1 {
		t.Errorf("unpacked twice: %v, %v", rows, errs)
	}
}

// A bomb is stopped at the limit, and no more memory is taken than that.
func TestGzipBombsAreStopped(t *testing.T) {
	zeros := strings.Repeat("\x00", 8<<20)
	bomb := gzipped(t, zeros)
	for _, test := range []struct {
		limits codec.Limits
		ok     bool
	}{
		{codec.Limits{}, true},
		{codec.Limits{Bytes: 8 << 20}, true},
		{codec.Limits{Bytes: 8<<20 - 1}, false},
		{codec.Limits{Bytes: 100}, false},
		{codec.Limits{Ratio: 10}, false},
	} {
		c := codec.GzipConfig{Limits: test.limits}.Unpack(codec.Raw)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		rows, errs := answers(t, c, bomb)
		runtime.ReadMemStats(&after)
		if test.ok && (errs[0] != nil || len(rows[0]) != len(zeros)) || !test.ok && (!refused(errs[0]) || !strings.Contains(errs[0].Error(), "Limits.Bytes")) {
			t.Errorf("%+v: %d bytes, %v", test.limits, len(rows[0]), errs[0])
		}
		// All the buffers that grow by half sum up to a few times the last one.
		if used := after.TotalAlloc - before.TotalAlloc; !test.ok && used > uint64(6*test.limits.Most(len(bomb)))+1<<20 {
			t.Errorf("%+v: %d bytes of memory", test.limits, used)
		}
	}
	if _, err := (codec.GzipConfig{Limits: codec.Limits{Bytes: -1}}).Unpack(codec.Raw)(); err == nil {
		t.Error("a negative limit is taken")
	}
}

func TestSmallPayloadsAreNotRefusedForTheirRatio(t *testing.T) {
	l := codec.Limits{Ratio: 2}
	if got := l.Most(100); got != 1<<20 {
		t.Errorf("100 bytes may become %d", got)
	}
	if got := l.Most(10 << 20); got != 20<<20 {
		t.Errorf("10 MiB may become %d", got)
	}
	if got := (codec.Limits{}).Most(10 << 20); got != 64<<20 {
		t.Errorf("10 MiB may become %d by default", got)
	}
}

// Rows that share memory with their record keep what they have when later records
// are unpacked, and records keep their position and key.
func TestUnpackedRecordsAreWhole(t *testing.T) {
	type row struct{ seq, key, data string }
	var kept [][]byte
	see := codec.Func(func(r *shardlake.Record) (row, error) {
		kept = append(kept, r.Data)
		return row{r.Pos.Seq, r.Key, string(r.Data)}, nil
	})
	var payloads [][]byte
	text := func(i int) string { return strings.Repeat(fmt.Sprint(i, ","), i%7*1000+1) }
	for i := range 600 { // more than are unpacked at once
		payloads = append(payloads, gzipped(t, text(i)))
	}
	rows, errs := answers(t, codec.Gzip(see), payloads...)
	for i := range rows {
		if want := (row{fmt.Sprint(i + 1), fmt.Sprint("key ", i), text(i)}); errs[i] != nil || rows[i] != want || string(kept[i]) != want.data {
			t.Fatalf("record %d: %.80v, %v", i, rows[i], errs[i])
		}
	}
}

// What the inner decoder refuses comes before what could not be unpacked, in the
// order of the records.
func TestRefusalsKeepTheirOrder(t *testing.T) {
	good, bad, cut := gzipped(t, `{"n":1}`), gzipped(t, `{"n":`), gzipped(t, `{}`)[:12]
	rows, errs := answers(t, codec.Gzip(codec.JSON[map[string]int]), good, bad, cut, good, cut, bad, good)
	for i, why := range []string{"", "json", "gzip", "", "gzip", "json", ""} {
		if why == "" {
			if errs[i] != nil || rows[i]["n"] != 1 {
				t.Errorf("record %d: %v, %v", i, rows[i], errs[i])
			}
		} else if !refused(errs[i]) || !strings.Contains(errs[i].Error(), why+":") {
			t.Errorf("record %d: %v; want a refusal by %s", i, errs[i], why)
		}
	}
}

func FuzzGzip(f *testing.F) {
	f.Add(gzipped(f, "some text"), []byte{})
	f.Add(gzipped(f, strings.Repeat("a", 1000)), []byte{1, 2})
	f.Add([]byte{0x1f, 0x8b, 8, 0x1e}, []byte{0})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		c := codec.GzipConfig{Limits: codec.Limits{Bytes: 1 << 10}}.Unpack(codec.Raw)
		rows, errs := answers(t, c, a, b, slices.Concat(a, b))
		for i := range rows {
			if errs[i] == nil && len(rows[i]) > 1<<10 || errs[i] != nil && !refused(errs[i]) {
				t.Errorf("record %d: %d bytes, %v", i, len(rows[i]), errs[i])
			}
		}
	})
}

func ExampleGzip() {
	type click struct{ URL string }
	clicks := codec.Gzip(codec.JSON[click]) // kinesis.Source(cfg, clicks, ...)

	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(`{"URL":"https://example.org"}`))
	if err := errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	d, err := clicks()
	if err != nil {
		panic(err)
	}
	rows := make([]click, 2)
	n, err := d.Decode(context.Background(), []shardlake.Record{{Data: packed.Bytes()}, {Data: []byte("{}")}}, rows)
	fmt.Println(rows[:n], err)
	// Output: [{https://example.org}] rejected: gzip: the payload begins with 7b 7d, not with 1f 8b: is it plain? see GzipConfig.Plain
}
