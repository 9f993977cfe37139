package avro_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/schema/schematest"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/avro"
)

// file begins an encoder and fails the test if that fails.
func begin[T any](t testing.TB, f sink.Format[T], w sink.FileWriter, info sink.FileInfo) sink.Encoder[T] {
	t.Helper()
	e, err := f.NewEncoder(w, info)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Case A5: a file ends once, whoever closes it.
func TestFileEndsOnce(t *testing.T) {
	f := newFormat[schematest.Inner](t, avro.Config{})
	var m memory
	e := begin(t, f, &m, sink.FileInfo{})
	if err := errors.Join(e.Encode(nil), e.Encode(make([]schematest.Inner, 3)), e.Close(sink.FileInfo{})); err != nil {
		t.Fatal(err)
	}
	whole := m.Len()
	for range 2 {
		if e.Close(sink.FileInfo{}) == nil || e.Encode(make([]schematest.Inner, 1)) == nil {
			t.Error("the file is closed and still takes calls")
		}
		e.Abandon()
	}
	if m.Len() != whole || e.Buffered() != 0 {
		t.Errorf("%d bytes were written after the end, %d are held", m.Len()-whole, e.Buffered())
	}
	if n := len(read(t, m.Bytes())); n != 3 {
		t.Errorf("%d rows", n)
	}
}

// Case A6: a file that lost a write is never closed without an error.
func TestFailedWriteNeverEndsWell(t *testing.T) {
	f := newFormat[schematest.Inner](t, avro.Config{BlockSize: 64})
	broken := errors.New("no part taken")
	for _, heal := range []bool{false, true} {
		var m memory
		e := begin(t, f, &m, sink.FileInfo{})
		m.fail = broken
		if err := e.Encode(make([]schematest.Inner, 1000)); !errors.Is(err, broken) {
			t.Errorf("Encode: %v", err)
		}
		if heal {
			m.fail = nil
		}
		if err := e.Encode(make([]schematest.Inner, 1)); !errors.Is(err, broken) {
			t.Errorf("a later Encode: %v", err)
		}
		if err := e.Close(sink.FileInfo{}); !errors.Is(err, broken) {
			t.Errorf("Close: %v", err)
		}
		e.Abandon()
	}
	if n := len(read(t, encode(t, f, make([]schematest.Inner, 10), 10))); n != 10 {
		t.Errorf("the next file has %d rows", n)
	}
}

type panics struct{ memory }

func (p *panics) Write([]byte) (int, error) { panic("out of order") }

// A panic below is the error of this file, not the end of the program.
func TestPanicIsAnError(t *testing.T) {
	e := begin(t, newFormat[schematest.Inner](t, avro.Config{}), new(panics), sink.FileInfo{})
	if err := e.Encode(make([]schematest.Inner, 1)); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(sink.FileInfo{}); err == nil || !strings.Contains(err.Error(), "out of order") {
		t.Errorf("Close: %v", err)
	}
	e.Abandon()
}

// Case B4: the marker is another one in each file, and follows from the attempt
// and the rows; a reader finds a byte that flipped in it.
func TestSyncMarkerDiffersPerFile(t *testing.T) {
	f := newFormat[schematest.Inner](t, avro.Config{BlockSize: 1 << 10})
	file := func(id, a string) []byte {
		var m memory
		info := sink.FileInfo{Attempt: shardlake.Attempt{ID: id, Lane: "1"}}
		e := begin(t, f, &m, info)
		if err := errors.Join(e.Encode([]schematest.Inner{{A: a}, {A: strings.Repeat("x", 2000)}, {}}), e.Close(info)); err != nil {
			t.Fatal(err)
		}
		e.Abandon()
		return m.Bytes()
	}
	marker := func(b []byte) string { return string(b[len(b)-16:]) }
	one := file("1", "a")
	if !bytes.Equal(one, file("1", "a")) {
		t.Error("the same rows of the same attempt make another file")
	}
	if marker(one) == marker(file("2", "a")) || marker(one) == marker(file("1", "b")) {
		t.Error("two files have one marker")
	}
	if n := strings.Count(string(one), marker(one)); n != 3 { // header and two blocks
		t.Errorf("the marker is in the file %d times", n)
	}
	at := strings.LastIndex(string(one[:len(one)-16]), marker(one))
	for _, i := range []int{at, len(one) - 1} {
		bad := bytes.Clone(one)
		bad[i] ^= 1
		d := decoder(t, bad)
		for d.HasNext() {
			var m map[string]any
			if err := d.Decode(&m); err != nil {
				break
			}
		}
		if d.Error() == nil {
			t.Errorf("byte %d flipped and nobody saw it", i)
		}
	}
}

// What is known only at the end is in the header as if it had been known before:
// in a file of one block and in one whose header was long written.
func TestHeaderHasTheFileInfo(t *testing.T) {
	f := newFormat[schematest.Inner](t, avro.Config{})
	for _, n := range []int{0, 2, 100_000} {
		rows := make([]schematest.Inner, n)
		b := encode(t, f, rows, 1000)
		meta := decoder(t, b).Metadata()
		for k, want := range map[string]string{
			"avro.codec": "snappy", "shardlake.stream": "clicks", "shardlake.first": "1.0", "shardlake.last": "99.3", "shardlake.after": "",
			"shardlake.rows": map[int]string{0: "0", 2: "2", 100_000: "100000"}[n], "shardlake.commit-id": "00112233445566aa",
			"shardlake.schema": "14892c37d00db694",
		} {
			if v := string(meta[k]); v != want {
				t.Errorf("%d rows: %s is %q, want %q", n, k, v, want)
			}
		}
		if n > 0 && string(meta["shardlake.max-time"]) != "1970-01-01T00:00:00.000001Z" {
			t.Errorf("max-time is %q", meta["shardlake.max-time"])
		}
		if strings.TrimSpace(string(meta["shardlake.padding"])) != "" {
			t.Errorf("padding is %q", meta["shardlake.padding"])
		}
		if got := len(read(t, b)); got != n {
			t.Errorf("%d rows of %d", got, n)
		}
	}
}

// The longest values that a source may have fit the room in the header, longer
// ones are an error and not a broken header.
func TestHeaderRoom(t *testing.T) {
	f := newFormat[schematest.Inner](t, avro.Config{BlockSize: 10})
	write := func(info sink.FileInfo) ([]byte, error) {
		var m memory
		e := begin(t, f, &m, sink.FileInfo{})
		if err := e.Encode(make([]schematest.Inner, 100)); err != nil {
			t.Fatal(err)
		}
		err := e.Close(info)
		e.Abandon()
		return m.Bytes(), err
	}
	long := shardlake.Position{Seq: strings.Repeat("9", 128), Sub: 1<<63 - 1}
	b, err := write(sink.FileInfo{First: long, Last: long, Rows: 1<<63 - 1, MinTime: shardlake.MinEventTime, MaxTime: shardlake.MaxEventTime})
	if err != nil {
		t.Fatal(err)
	}
	if meta := decoder(t, b).Metadata(); string(meta["shardlake.last"]) != long.String() || string(meta["shardlake.max-time"]) != "9999-12-31T23:59:59.999999Z" {
		t.Errorf("%s", meta)
	}
	if n := len(read(t, b)); n != 100 {
		t.Errorf("%d rows", n)
	}
	long.Seq += strings.Repeat("9", 1000)
	if _, err := write(sink.FileInfo{Last: long}); err == nil || !strings.Contains(err.Error(), "shardlake.last") {
		t.Errorf("a position of 1,128 digits: %v", err)
	}
}

// No count in a file is negative, whatever the sizes of lists and maps: some
// readers take counts for lengths.
func TestNoCountIsNegative(t *testing.T) {
	type row struct {
		L []int64 `lake:"l,required"`
	}
	list := make([]int64, 300)
	b := encode(t, newFormat[row](t, avro.Config{Codec: avro.Null}), []row{{list}}, 1)
	want := append(binary.AppendVarint(nil, 300), make([]byte, 301)...)
	if block := b[len(b)-16-len(want) : len(b)-16]; !bytes.Equal(block, want) {
		t.Errorf("block is % x", block)
	}
	for at := len("Obj\x01"); ; {
		n, k := binary.Varint(b[at:])
		if n < 0 {
			t.Fatal("the header's map has a negative count")
		}
		if at += k; n == 0 {
			break
		}
		for range 2 * n {
			size, k := binary.Varint(b[at:])
			at += k + int(size)
		}
	}
}

// A format serves many lanes at once.
func TestFormatIsSafeForConcurrentUse(t *testing.T) {
	rows := schematest.Rows[schematest.Every](4, 200, false)
	for _, c := range configs() {
		f := newFormat[schematest.Every](t, c)
		want := encode(t, f, rows, 200)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 3 {
					if !bytes.Equal(want, encode(t, f, rows, 64)) {
						t.Error("another file")
					}
				}
			})
		}
		wg.Wait()
	}
}

// Mistakes of settings and types are reported together.
func TestMistakesAreReportedTogether(t *testing.T) {
	type bad struct {
		C chan int
		F func()
	}
	_, err := avro.Config{Codec: 9, BlockSize: -1}.Format[bad]()
	for _, want := range []string{"Codec", "BlockSize", "field C", "field F"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if _, err := avro.Format[int](); err == nil {
		t.Error("a row of type int was taken")
	}
	if f, err := avro.Format[shardlake.DeadLetter](); err != nil || f.Ext() != "avro" {
		t.Errorf("dead letters: %v", err)
	}
}

// A row that a file cannot hold is found before it is written.
func TestCheckNamesTheColumn(t *testing.T) {
	f := newFormat[schematest.Nested](t, avro.Config{})
	row := schematest.Nested{LPS: []*schematest.Inner{nil, {C: []string{"ok", "\xff"}}}}
	if err := f.Check(&row); err == nil || !strings.Contains(err.Error(), "column lps[].c") {
		t.Errorf("%v", err)
	}
}
