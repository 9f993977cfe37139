package parquet

import (
	"math/bits"
	"sync"

	"github.com/klauspost/compress/s2"
	kzstd "github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/gzip"
	"github.com/parquet-go/parquet-go/compress/snappy"
	"github.com/parquet-go/parquet-go/compress/uncompressed"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// codec is safe for concurrent use.
func (c Config) codec() compress.Codec {
	switch c.Compression {
	case ZstdFastest:
		return newPageZstd(kzstd.SpeedFastest, c.PageSize)
	case Snappy:
		return &fastSnappy{}
	case Gzip:
		return &gzip.Codec{Level: gzip.DefaultCompression}
	case None:
		return &uncompressed.Codec{}
	}
	return newPageZstd(kzstd.SpeedDefault, c.PageSize)
}

// fastSnappy is the library's codec with the encoder of the same module that takes
// a third of the time for a few more bytes.
type fastSnappy struct{ snappy.Codec }

func (*fastSnappy) Encode(dst, src []byte) ([]byte, error) {
	if n := s2.MaxEncodedLen(len(src)); cap(dst) < n {
		dst = make([]byte, n)
	}
	return s2.EncodeSnappy(dst[:cap(dst)], src), nil
}

// pageZstd is the library's codec with encoders whose window is that of a page, not
// the 8 MiB that their level has by default.
type pageZstd struct {
	zstd.Codec
	encoders sync.Pool
	options  []kzstd.EOption
}

func newPageZstd(level kzstd.EncoderLevel, pageSize int) *pageZstd {
	window := 1 << bits.Len(uint(min(max(pageSize, 1<<20), 4<<20)-1))
	return &pageZstd{options: []kzstd.EOption{
		kzstd.WithEncoderConcurrency(1), kzstd.WithEncoderLevel(level), kzstd.WithZeroFrames(true), kzstd.WithEncoderCRC(false), kzstd.WithWindowSize(window),
	}}
}

func (c *pageZstd) Encode(dst, src []byte) ([]byte, error) {
	e, ok := c.encoders.Get().(*kzstd.Encoder)
	if !ok {
		var err error
		if e, err = kzstd.NewWriter(nil, c.options...); err != nil {
			return nil, err
		}
	}
	b := e.EncodeAll(src, dst[:0])
	c.encoders.Put(e)
	return b, nil
}
