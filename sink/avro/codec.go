package avro

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// String is the name in the header.
func (c Codec) String() string {
	switch c {
	case Snappy:
		return "snappy"
	case Deflate:
		return "deflate"
	case Zstandard:
		return "zstandard"
	}
	return "null"
}

// compressor appends a compressed block to dst, which is empty.
type compressor func(dst, block []byte) ([]byte, error)

// compressors returns a constructor of compressors, each for one goroutine.
func (c Codec) compressors() (func() compressor, error) {
	switch c {
	case Snappy:
		return func() compressor { return snappy }, nil
	case Deflate:
		return deflater, nil
	case Zstandard:
		// One encoder for all files: it lends out a state per call, so memory grows
		// with lanes at work, not with open files.
		e, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false), zstd.WithZeroFrames(true), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20))
		return func() compressor {
			return func(dst, block []byte) ([]byte, error) { return e.EncodeAll(block, dst), nil }
		}, err
	}
	return func() compressor {
		return func(dst, block []byte) ([]byte, error) { return append(dst, block...), nil }
	}, nil
}

// snappy has the CRC of the block behind it, by the specification.
func snappy(dst, block []byte) ([]byte, error) {
	if n := s2.MaxEncodedLen(len(block)); cap(dst) < n+4 {
		dst = make([]byte, 0, n+4)
	}
	dst = s2.EncodeSnappy(dst[:cap(dst)], block)
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(block)), nil
}

func deflater() compressor {
	var fw *flate.Writer
	var out bytes.Buffer
	return func(dst, block []byte) ([]byte, error) {
		out = *bytes.NewBuffer(dst)
		if fw == nil {
			var err error
			if fw, err = flate.NewWriter(&out, flate.DefaultCompression); err != nil {
				return dst, err
			}
		} else {
			fw.Reset(&out)
		}
		if _, err := fw.Write(block); err != nil {
			return dst, err
		}
		err := fw.Close()
		b := out.Bytes()
		out = bytes.Buffer{}
		return b, err
	}
}
