package avro_test

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/avro"
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

// Case B1: records of the largest size come back, in memory of one record.
func TestMemoryIsBoundedByBytes(t *testing.T) {
	f := newFormat[fat](t, avro.Config{})
	text := noise(9 << 20)
	var out sinkhole
	before := heap()
	e := begin(t, f, &out, sink.FileInfo{})
	for i := range 100 {
		if err := e.Encode([]fat{{int64(i), text[i:]}}); err != nil {
			t.Fatal(err)
		}
		if n := e.Buffered(); n > 64<<10 {
			t.Fatalf("after %d records %d bytes are buffered", i+1, n)
		}
		if i%10 == 0 {
			if grown := heap() - before; grown > 2<<20 {
				t.Fatalf("after %d records the heap has grown by %d KiB", i+1, grown>>10)
			}
		}
	}
	if err := e.Close(sink.FileInfo{}); err != nil {
		t.Fatal(err)
	}
	e.Abandon()
	if out.n < 100*8<<20 {
		t.Errorf("the file has %d bytes", out.n)
	}
	b := encode(t, f, []fat{{1, text}, {2, text[1:]}}, 2)
	got := read(t, b)
	if len(got) != 2 || got[1].(map[string]any)["text"] != text[1:] {
		t.Error("a record of 9 MiB did not come back")
	}
}

// Small records too are held for no more than a block.
func TestBufferedIsABlock(t *testing.T) {
	e := begin(t, newFormat[fat](t, avro.Config{BlockSize: 10_000}), new(sinkhole), sink.FileInfo{})
	var most int64
	for i := range 10_000 {
		if err := e.Encode([]fat{{int64(i), "some text"}}); err != nil {
			t.Fatal(err)
		}
		most = max(most, e.Buffered())
	}
	// The memory of the block grows by doubling, or less.
	if most < 9_000 || most > 2*10_020 {
		t.Errorf("at most %d bytes were buffered", most)
	}
	e.Abandon()
}
