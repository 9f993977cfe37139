// Package avro writes Avro object container files that Athena, Hive, Spark, polars
// and fastavro read alike.
//
//	clicks.Write(lake.Folder("clicks"), avro.Format)
//	clicks.Write(lake.Folder("clicks"), avro.Config{Codec: avro.Deflate}.Format)
//
// # Schema
//
// The schema comes from the row type, never from the data: internal/schema says
// how names, types, tags and nil are read. What may be null is a union of null and
// the type, with the default null. Times are timestamp-micros or -millis, and date;
// decimals are bytes, as Hive wants them; a UUID is a string.
//
// # Files
//
// Blocks are cut by bytes, so memory is bounded by a block and one record however
// long records are. The sync marker is a hash of the attempt that writes the file,
// the schema and the first block: another one in each file, unknown to whoever
// sends the data, and yet the same when the same rows are written by the same
// attempt again. No count in a file is negative: some readers refuse such blocks.
//
// The header's metadata has, beside avro.schema and avro.codec, the pairs of
// sink.FileInfo.Pairs, and under "shardlake.schema" the fingerprint of the schema,
// CRC-64-AVRO as the specification has it, lowest byte first, equal to that of
// Parquet files of the same type. What is known only at the end, as the last
// position, is patched into the header; "shardlake.padding" takes the room that is
// left over, so that values are as long as they should be.
//
// # The encoder
//
// Records are appended by functions compiled for the row type, twice as fast as by
// a library that reflects. github.com/hamba/avro/v2 reads the schema back in the
// constructor, as the judge of whether it is one; tests read files with it.
package avro

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	hamba "github.com/hamba/avro/v2"

	"github.com/shardlake/shardlake/internal/schema"
	"github.com/shardlake/shardlake/sink"
)

// Codec compresses the blocks of a file.
type Codec int

// The codecs. Snappy is fast and known to all readers, Zstandard is smallest but
// new to Athena and Hive.
const (
	Snappy Codec = iota // the default
	Deflate
	Zstandard
	Null
)

// Config holds the settings. The zero value is the default.
type Config struct {
	Codec Codec
	// BlockSize is the size in bytes, before compression, at which a block ends; 64
	// KiB by default, at most 64 MiB. A block has at least one record. Larger blocks
	// compress better and cost memory in each open file.
	BlockSize int
}

const (
	defaultBlockSize = 64 << 10
	maxBlockSize     = 64 << 20
)

// Format is the format with default settings: Write(folder, avro.Format).
func Format[T any]() (sink.Format[T], error) { return Config{}.Format[T]() }

// Format is passed as it stands: Write(folder, avro.Config{...}.Format). Its error
// lists what is wrong with the settings and with T.
func (c Config) Format[T any]() (sink.Format[T], error) {
	s, err := schema.Of(reflect.TypeFor[T]())
	if err = errors.Join(c.validate(), err); err != nil {
		return nil, fmt.Errorf("avro: %w", err)
	}
	if c.BlockSize == 0 {
		c.BlockSize = defaultBlockSize
	}
	text := s.Avro()
	// A cache of its own: the library's is shared by the program and keeps the
	// first of two types with one name.
	if _, err := hamba.ParseWithCache(text, "", &hamba.SchemaCache{}); err != nil {
		return nil, fmt.Errorf("avro: the schema of %v: %w", reflect.TypeFor[T](), err)
	}
	p := &plan{Config: c, schema: text, fingerprint: s.Fingerprint()}
	if p.compress, err = c.Codec.compressors(); err != nil {
		return nil, fmt.Errorf("avro: %w", err)
	}
	return &format[T]{plan: p, check: s.Check(), idle: make(chan *writer, maxIdle), newWriter: func() *writer {
		record := compiler{new(schema.Scratch)}.value(s.Root)
		return &writer{plan: p, record: record, codec: p.compress()}
	}}, nil
}

func (c Config) validate() error {
	var errs []error
	if c.Codec < Snappy || c.Codec > Null {
		errs = append(errs, fmt.Errorf("Codec is %d: want one of this package's constants", c.Codec))
	}
	if c.BlockSize < 0 || c.BlockSize > maxBlockSize {
		errs = append(errs, fmt.Errorf("BlockSize is %d: want 1 to %d bytes, or 0 for the default", c.BlockSize, maxBlockSize))
	}
	return errors.Join(errs...)
}

// plan is what all files of a type share.
type plan struct {
	Config
	schema      string
	fingerprint string
	compress    func() compressor
}

// format encodes files of T. Its writers are used again, one file after the
// other. Those that wait hold memory that no budget knows of, so only a few may.
type format[T any] struct {
	*plan
	check     func(unsafe.Pointer) error
	newWriter func() *writer
	idle      chan *writer
}

// maxIdle is how many writers wait for their next file.
const maxIdle = 8

// Ext is avro.
func (*format[T]) Ext() string { return "avro" }

// Check tells whether a file can hold the row.
func (f *format[T]) Check(row *T) error {
	if f.check == nil {
		return nil
	}
	return f.check(unsafe.Pointer(row))
}

// NewEncoder begins a file. Its header is written with the first block.
func (f *format[T]) NewEncoder(w sink.FileWriter, info sink.FileInfo) (sink.Encoder[T], error) {
	e := &encoder[T]{idle: f.idle}
	select {
	case e.w = <-f.idle:
	default:
		e.w = f.newWriter()
	}
	e.w.begin(w, info)
	return e, nil
}
