package wire

import (
	"bytes"
	"encoding/base64"
	"testing"
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
		x, kept := new(index), make([]int, 0, 1000)
		for b.Loop() {
			body := make([]byte, len(answer))
			copy(body, answer)
			if !indexJSON(body, x, false) {
				b.Fatal("refused")
			}
			var a Answer
			kept = kept[:0]
			for i := range x.entries {
				e := &x.entries[i]
				src := body[e.data.at : e.data.at+e.data.n]
				if !decodeBase64(src, src) {
					b.Fatal("refused")
				}
				e.data.n = uint32(decodedLen(src))
				kept = append(kept, int(e.data.n))
			}
			a.Bytes = int64(len(kept))
		}
	})
	if n := base64.StdEncoding.DecodedLen(len(bytes.TrimSpace(answer))); n == 0 {
		b.Fatal("empty")
	}
}
