package parquet_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go/format"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/schema/schematest"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/parquet"
)

// Case A1: a dictionary that is full is left for plain pages, and no value and no
// level is lost, in any kind of column and row group.
func TestFullDictionaryLosesNothing(t *testing.T) {
	type row struct {
		Req  string   `lake:"req"`
		Opt  *string  `lake:"opt"`
		List []string `lake:"list"`
		N    int64    `lake:"n"`
		Hot  string   `lake:"hot"`
	}
	rows := make([]row, 20_000)
	for i := range rows {
		k := fmt.Sprintf("key-%07d", i*7919%20_000)
		rows[i] = row{Req: k, List: []string{"a", k, k}[:i%4%3], N: int64(i * 1_000_003), Hot: string(rune('a' + i%5))}
		if i%3 > 0 {
			rows[i].Opt = &k
		}
	}
	for _, c := range []parquet.Config{{DictionaryMaxBytes: 4 << 10}, {DictionaryMaxBytes: 4 << 10, RowGroup: 200 << 10, PageSize: 8 << 10}, {}} {
		file := encode(t, newFormat[row](t, c), rows, 512)
		meta := open(t, file).Metadata()
		for _, g := range meta.RowGroups {
			for _, k := range g.Columns {
				if flat := len(k.MetaData.PathInSchema) == 1; flat && k.MetaData.NumValues != g.NumRows || k.MetaData.NumValues < g.NumRows {
					t.Errorf("%v: %d values in %d rows", k.MetaData.PathInSchema, k.MetaData.NumValues, g.NumRows)
				}
			}
		}
		if c.RowGroup > 0 && len(meta.RowGroups) < 2 {
			t.Errorf("%d row groups", len(meta.RowGroups))
		}
		for i, got := range read(t, file) {
			if want := schematest.Tree(rows[i]); !reflect.DeepEqual(got, want) {
				t.Fatalf("row %d is %v, want %v", i, got, want)
			}
		}
	}
}

// Cases A3 and A4: times of all years are stored in microseconds, and the zero
// time is the time that it is; other years are refused.
func TestTimesAreExactOrRefused(t *testing.T) {
	type row struct {
		T time.Time  `lake:"t"`
		P *time.Time `lake:"p"`
	}
	f := newFormat[row](t, parquet.Config{})
	var rows []row
	for _, s := range []string{"0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "1600-02-29T12:00:00Z", "1969-12-31T23:59:59.999999Z", "2262-04-12T00:00:00Z", "3000-01-01T00:00:00+05:00", "9999-12-31T23:59:59.999999999Z"} {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row{at, &at})
		if err := f.Check(&rows[len(rows)-1]); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	for i, got := range read(t, encode(t, f, rows, 10)) {
		want := rows[i].T.UnixMicro()
		if !reflect.DeepEqual(got, any(map[string]any{"t": want, "p": want})) {
			t.Errorf("%v reads %v", rows[i].T, got)
		}
	}
	for _, at := range []time.Time{time.Date(-1, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(1<<60, 0)} {
		if err := f.Check(&row{T: at}); err == nil || !strings.Contains(err.Error(), "column t") {
			t.Errorf("%v: %v", at, err)
		}
	}
}

// Case A5: a file ends once, whoever closes it.
func TestFileEndsOnce(t *testing.T) {
	f := newFormat[schematest.Inner](t, parquet.Config{})
	var m memory
	e, err := f.NewEncoder(&m, sink.FileInfo{})
	if err != nil {
		t.Fatal(err)
	}
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

// Case A6: a file that lost a write never gets a footer.
func TestFailedWriteNeverEndsWell(t *testing.T) {
	f := newFormat[schematest.Inner](t, parquet.Config{RowGroup: 1})
	broken := errors.New("no part taken")
	for _, heal := range []bool{false, true} {
		var m memory
		e, err := f.NewEncoder(&m, sink.FileInfo{})
		if err != nil {
			t.Fatal(err)
		}
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
		if bytes.HasSuffix(m.Bytes()[4:], []byte("PAR1")) {
			t.Error("the file has a footer")
		}
	}
	if n := len(read(t, encode(t, f, make([]schematest.Inner, 10), 10))); n != 10 {
		t.Errorf("the next file has %d rows", n)
	}
	if _, err := f.NewEncoder(&memory{fail: broken}, sink.FileInfo{}); !errors.Is(err, broken) {
		t.Errorf("NewEncoder: %v", err)
	}
}

type panics struct{ memory }

func (p *panics) Write(b []byte) (int, error) {
	if len(b) > 4 {
		panic("out of order")
	}
	return len(b), nil
}

// A panic below is the error of this file, not the end of the program.
func TestPanicIsAnError(t *testing.T) {
	f := newFormat[schematest.Inner](t, parquet.Config{})
	e, err := f.NewEncoder(new(panics), sink.FileInfo{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Encode(make([]schematest.Inner, 1)); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(sink.FileInfo{}); err == nil || !strings.Contains(err.Error(), "out of order") {
		t.Errorf("Close: %v", err)
	}
	e.Abandon()
}

// The footer says whose commit the file is of, and of which columns.
func TestFooterHasTheFileInfo(t *testing.T) {
	f := open(t, encode(t, newFormat[schematest.Inner](t, parquet.Config{}), make([]schematest.Inner, 2), 2))
	for k, want := range map[string]string{
		"shardlake.stream": "clicks", "shardlake.rows": "2", "shardlake.last": "99.3", "shardlake.commit-id": "00112233445566aa",
		"shardlake.min-time": "1970-01-01T00:00:00Z", "shardlake.schema": "14892c37d00db694",
	} {
		if v, _ := f.Lookup(k); v != want {
			t.Errorf("%s is %q, want %q", k, v, want)
		}
	}
	if by := f.Metadata().CreatedBy; !strings.HasPrefix(by, "shardlake version ") {
		t.Errorf("created by %q", by)
	}
	for _, g := range f.Metadata().RowGroups {
		for _, c := range g.Columns {
			if c.MetaData.Codec != format.Zstd {
				t.Errorf("codec %v", c.MetaData.Codec)
			}
		}
	}
}

// A file without rows is a file.
func TestEmptyFile(t *testing.T) {
	if rows := read(t, encode(t, newFormat[schematest.Nested](t, parquet.Config{}), nil, 1)); len(rows) != 0 {
		t.Errorf("%d rows", len(rows))
	}
}

// A format serves many lanes at once.
func TestFormatIsSafeForConcurrentUse(t *testing.T) {
	rows := schematest.Rows[schematest.Nested](4, 300, false)
	f := newFormat[schematest.Nested](t, parquet.Config{RowGroup: 100 << 10})
	want := encode(t, f, rows, 300)
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

// Mistakes of settings and types are reported together.
func TestMistakesAreReportedTogether(t *testing.T) {
	type bad struct {
		C chan int
		F func()
	}
	_, err := parquet.Config{Compression: 9, RowGroup: -1, PageSize: -1}.Format[bad]()
	for _, want := range []string{"Compression", "RowGroup", "PageSize", "field C", "field F"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if _, err := parquet.Format[int](); err == nil {
		t.Error("a row of type int was taken")
	}
	if f, err := parquet.Format[shardlake.DeadLetter](); err != nil || f.Ext() != "parquet" {
		t.Errorf("dead letters: %v", err)
	}
}
