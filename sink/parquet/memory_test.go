package parquet_test

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/parquet"
)

// sinkhole takes a file and keeps nothing.
type sinkhole struct{ n int64 }

func (s *sinkhole) Write(b []byte) (int, error)     { s.n += int64(len(b)); return len(b), nil }
func (s *sinkhole) HoldHead()                       {}
func (s *sinkhole) PatchHead(_ int, _ []byte) error { return nil }

// heap is the live memory.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func noise(n int) string {
	r, b := rand.NewChaCha8([32]byte{1}), make([]byte, n)
	for i := range b {
		b[i] = ' ' + byte(r.Uint64()%90)
	}
	return string(b)
}

type fat struct {
	ID   int64  `lake:"id"`
	Text string `lake:"text"`
}

// Case A7 and records of the largest size: memory is that of a row group and a
// row, whatever the number of rows.
func TestMemoryIsBoundedByBytes(t *testing.T) {
	f := newFormat[fat](t, parquet.Config{Compression: parquet.None})
	text := noise(9 << 20)
	var out sinkhole
	before := heap()
	e, err := f.NewEncoder(&out, sink.FileInfo{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := e.Encode([]fat{{int64(i), text[i:]}}); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			if grown := heap() - before; grown > 64<<20 {
				t.Fatalf("after %d records the heap has grown by %d MiB", i+1, grown>>20)
			}
		}
		if n := e.Buffered(); n > 32<<20 {
			t.Fatalf("after %d records %d MiB are buffered", i+1, n>>20)
		}
	}
	if err := e.Close(sink.FileInfo{}); err != nil {
		t.Fatal(err)
	}
	e.Abandon()
	if out.n < 100*8<<20 {
		t.Errorf("the file has %d bytes", out.n)
	}
	if grown := heap() - before; grown > 24<<20 {
		t.Errorf("%d MiB are kept for the next file", grown>>20)
	}
	runtime.KeepAlive(text)
}

// Buffered tells what an open file holds within a factor of two and a half and
// the idle buffers.
func TestBufferedIsHonest(t *testing.T) {
	type row struct {
		ID    int64    `lake:"id"`
		Word  string   `lake:"word"`
		Uniq  string   `lake:"uniq"`
		Opt   *float64 `lake:"opt"`
		Tags  []string `lake:"tags"`
		Bytes []byte   `lake:"bytes"`
	}
	f := newFormat[row](t, parquet.Config{RowGroup: 64 << 20})
	text := noise(1 << 20)
	x := 0.0
	rows := make([]row, 1000)
	var encoders []sink.Encoder[row]
	before := heap()
	for range 4 {
		e, err := f.NewEncoder(new(sinkhole), sink.FileInfo{})
		if err != nil {
			t.Fatal(err)
		}
		encoders = append(encoders, e)
	}
	for step := range 30 {
		var said int64
		for _, e := range encoders {
			for i := range rows {
				k := (step*1000 + i) * 31 % (1 << 19)
				rows[i] = row{int64(k), text[k%50 : k%50+5], text[k : k+40], &x, []string{text[k : k+3], "t"}, []byte(text[k : k+100])}
			}
			if err := e.Encode(rows); err != nil {
				t.Fatal(err)
			}
			said += e.Buffered()
		}
		clear(rows)
		if step%10 != 9 {
			continue
		}
		if held := heap() - before; said < held*2/5-4<<20 || said > 2*held+4<<20 {
			t.Errorf("step %d: %d KiB are held, Buffered says %d KiB", step, held>>10, said>>10)
		}
	}
	for _, e := range encoders {
		e.Abandon()
	}
	runtime.KeepAlive(text)
}

// Many files with many columns are bounded by what they say they hold.
func TestLongTextIsNotKeptInDictionaries(t *testing.T) {
	f := newFormat[fat](t, parquet.Config{})
	e, err := f.NewEncoder(new(sinkhole), sink.FileInfo{})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat(noise(1000), 60)
	for i := range 2000 {
		if err := e.Encode([]fat{{int64(i), text[i:]}}); err != nil {
			t.Fatal(err)
		}
		if n := e.Buffered(); n > 24<<20 {
			t.Fatalf("row %d: %d MiB are buffered", i, n>>20)
		}
	}
	e.Abandon()
}

// However many files end at once, what is kept for the next ones is bounded.
func TestIdleMemoryIsBounded(t *testing.T) {
	f := newFormat[fat](t, parquet.Config{Compression: parquet.None})
	text := noise(2 << 20)
	before := heap()
	encoders := make([]sink.Encoder[fat], 40)
	for i := range encoders {
		e, err := f.NewEncoder(new(sinkhole), sink.FileInfo{})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Encode([]fat{{1, text[i:]}}); err != nil {
			t.Fatal(err)
		}
		encoders[i] = e
	}
	if grown := heap() - before; grown < 70<<20 {
		t.Errorf("40 open files hold only %d MiB", grown>>20)
	}
	for _, e := range encoders {
		e.Abandon()
	}
	clear(encoders)
	if grown := heap() - before; grown > 40<<20 {
		t.Errorf("%d MiB are kept for the next files", grown>>20)
	}
	runtime.KeepAlive(text)
	runtime.KeepAlive(f)
}
