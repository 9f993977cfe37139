package sinktest

import (
	"encoding/binary"

	"github.com/shardlake/shardlake/sink"
)

// content returns n bytes that depend on seed and do not repeat.
func content(seed uint64, n int) []byte {
	b := make([]byte, n, n+8)
	x := seed*0x9e3779b97f4a7c15 + 1
	for i := 0; i < n; i += 8 {
		// xorshift64
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		binary.LittleEndian.PutUint64(b[i:i+8:i+8], x)
	}
	return b
}

// body is a Body of pieces, as the parts of a real file are.
func body(b []byte) *sink.Chunks {
	const piece = 1 << 18
	var pieces [][]byte
	for len(b) > piece {
		pieces = append(pieces, b[:piece])
		b = b[piece:]
	}
	return sink.NewChunks(append(pieces, b)...)
}

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
