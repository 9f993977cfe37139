// Package parquet writes Apache Parquet files that Athena, Spark, Trino, DuckDB
// and pyarrow read alike.
//
//	clicks.Write(lake.Folder("clicks"), parquet.Format)
//	clicks.Write(lake.Folder("clicks"), parquet.Config{Compression: parquet.Snappy}.Format)
//
// # Columns
//
// Columns come from the row type, in the order of its fields, never from the data:
// internal/schema says how names, types, tags and nil are read. Timestamps are
// INT64 TIMESTAMP in UTC, in micro- or milliseconds; lists have three levels,
// "list" and "element"; maps are "key_value", "key" and "value"; uint64 is
// DECIMAL(20,0) on 9 bytes. nil and empty lists and maps differ: null and empty.
//
// # Files
//
// Pages are of version 1, in the encodings PLAIN and RLE_DICTIONARY, with CRCs:
// what every reader of the last ten years takes. A column chunk has a dictionary
// where that pays: what its first page shows decides, not earlier files. So equal
// rows make equal files, however they come in batches. Statistics are
// those of the values as stored, of chunks, pages and the page index; a chunk of
// floating-point numbers with a NaN has none, because readers disagree about them.
//
// The metadata in the footer is that of sink.FileInfo.Pairs, and under
// "shardlake.schema" the fingerprint of the columns, equal to that of Avro files
// of the same type.
//
// # The writer
//
// Rows are taken apart by compiled access to their memory, and encoded into typed
// buffers, one column after the other. Metadata, levels, dictionary indices and
// compression are those of github.com/parquet-go/parquet-go; its row writers are
// not used: they buffer a row group's values in memory that cannot be measured,
// and take two to three times as long.
package parquet

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/shardlake/shardlake/internal/schema"
	"github.com/shardlake/shardlake/sink"
)

// Compression is the codec of a file's pages.
type Compression int

// The codecs. ZstdFastest writes about a third more bytes than Zstd in two thirds
// of the time; Snappy and Gzip are for readers that know nothing newer.
const (
	Zstd Compression = iota // the default
	ZstdFastest
	Snappy
	Gzip
	None
)

// Config holds the settings. The zero value is the default.
type Config struct {
	Compression Compression

	// RowGroup is the size in bytes of what an open file gathers in memory,
	// compressed pages and columns not yet compressed, before it writes a row
	// group; 16 MiB by default. It bounds the memory of an open file, to which
	// comes one row. Larger row groups make smaller footers and longer reads.
	RowGroup int64
	// PageSize is the size in bytes at which a column's page ends, before
	// compression; 1 MiB by default, at most 256 MiB. A page also ends after
	// 65,536 rows, and has at least one.
	PageSize int
	// DictionaryMaxBytes bounds the dictionary of each column chunk; 1 MiB by
	// default. What comes when it is full is plain. Negative means no dictionaries.
	DictionaryMaxBytes int
}

const (
	defaultRowGroup   = 16 << 20
	defaultPageSize   = 1 << 20
	defaultDictionary = 1 << 20
	maxPageSize       = 256 << 20
)

// Format is the format with default settings: Write(folder, parquet.Format).
func Format[T any]() (sink.Format[T], error) { return Config{}.Format[T]() }

// Format is passed as it stands: Write(folder, parquet.Config{...}.Format). Its
// error lists what is wrong with the settings and with T.
func (c Config) Format[T any]() (sink.Format[T], error) {
	s, err := schema.Of(reflect.TypeFor[T]())
	if err = errors.Join(c.validate(), err); err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	f := &files[T]{plan: newPlan(c.withDefaults(), s), check: s.Check()}
	if levels := newWriter(f.plan).maxLevel(); levels > 255 {
		return nil, fmt.Errorf("parquet: rows of type %v are nested %d levels deep, more than 255", reflect.TypeFor[T](), levels)
	}
	return f, nil
}

func (c Config) validate() error {
	var errs []error
	if c.Compression < Zstd || c.Compression > None {
		errs = append(errs, fmt.Errorf("Compression is %d: want one of this package's constants", c.Compression))
	}
	if c.RowGroup < 0 {
		errs = append(errs, fmt.Errorf("RowGroup is %d: want a positive number of bytes, or 0 for the default", c.RowGroup))
	}
	if c.PageSize < 0 || c.PageSize > maxPageSize {
		errs = append(errs, fmt.Errorf("PageSize is %d: want 1 to %d bytes, or 0 for the default", c.PageSize, maxPageSize))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.RowGroup == 0 {
		c.RowGroup = defaultRowGroup
	}
	if c.PageSize == 0 {
		c.PageSize = defaultPageSize
	}
	if c.DictionaryMaxBytes == 0 {
		c.DictionaryMaxBytes = defaultDictionary
	}
	return c
}

// files is the format of files of T. Its writers are used again, one file after
// the other.
type files[T any] struct {
	*plan
	check func(unsafe.Pointer) error
	idle  idle
}

// Ext is parquet.
func (*files[T]) Ext() string { return "parquet" }

// Check tells whether a file can hold the row.
func (f *files[T]) Check(row *T) error {
	if f.check == nil {
		return nil
	}
	return f.check(unsafe.Pointer(row))
}

// NewEncoder begins a file with its magic number.
func (f *files[T]) NewEncoder(w sink.FileWriter, _ sink.FileInfo) (sink.Encoder[T], error) {
	e := &encoder[T]{idle: &f.idle, w: f.idle.take()}
	if e.w == nil {
		e.w = newWriter(f.plan)
	}
	if err := e.w.begin(w); err != nil {
		e.Abandon()
		return nil, err
	}
	return e, nil
}
