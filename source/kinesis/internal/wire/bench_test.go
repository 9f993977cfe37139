package wire

import (
	"testing"
	"unsafe"

	"github.com/shardlake/shardlake"
)

// BenchmarkParse reads an answer of 1,000 records of 316 bytes, without HTTP.
func BenchmarkParse(b *testing.B) {
	body := plainAnswer(1000, 316)
	b.Run("json/sdk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bySDK(body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json/wire", func(b *testing.B) {
		b.ReportAllocs()
		buffers := new(Buffers)
		for b.Loop() {
			if _, fast, err := byWire(buffers, body); err != nil || !fast {
				b.Fatal(fast, err)
			}
		}
	})
	binary := binaryAnswer(1000, 316)
	b.Run("cbor/wire", func(b *testing.B) {
		b.ReportAllocs()
		x := new(index)
		for b.Loop() {
			var a Answer
			if err := parseCBOR(binary, x, &a); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json/wire/index", func(b *testing.B) {
		buffers := new(Buffers)
		for b.Loop() {
			if !indexJSON(body, &buffers.index, false) {
				b.Fatal("refused")
			}
		}
	})
}

// BenchmarkInPlace is about where payloads go: into new memory of the exact size,
// with the body's used again, or over their own base64 in a body that is new.
func BenchmarkInPlace(b *testing.B) {
	answer := plainAnswer(1000, 316)
	b.Run("arena", func(b *testing.B) {
		b.ReportAllocs()
		x, kept := new(index), make([]byte, len(answer))
		for b.Loop() {
			var a Answer
			copy(kept, answer)
			if !indexJSON(kept, x, false) || !x.fill(&a, kept, false) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("in place", func(b *testing.B) {
		b.ReportAllocs()
		x := new(index)
		for b.Loop() {
			body := make([]byte, len(answer))
			copy(body, answer)
			if !indexJSON(body, x, false) {
				b.Fatal("refused")
			}
			a := Answer{Records: make([]shardlake.Record, len(x.entries))}
			for i := range x.entries {
				e, r := &x.entries[i], &a.Records[i]
				src := x.bytes(body, e.data)
				n := decodedLen(src)
				if !decodeBase64(src[:n], src) {
					b.Fatal("refused")
				}
				seq, key := x.bytes(body, e.seq), x.bytes(body, e.key)
				r.Data, r.Arrived = src[:n:n], e.arrived
				r.Pos.Seq = unsafe.String(unsafe.SliceData(seq), len(seq))
				r.Key = unsafe.String(unsafe.SliceData(key), len(key))
			}
		}
	})
}
