// Package avro decodes Avro data: plain, in single-object encoding, or with the
// header of a schema registry.
//
//	kinesis.Source(cfg, avro.Config{Schema: text}.Codec, Click.when)
//	kinesis.Source(cfg, avro.Config{Framing: avro.Glue, Resolver: cache}.Codec, Click.when)
//
// # Framing
//
// Which framing a stream has is said, never guessed, and a payload without it
// becomes a dead letter: a plain datum may begin with the bytes of any header.
// Object container files are no payloads of records; they are not read.
//
// # Rows
//
// A row is a struct such as package sink/avro writes; its columns are described
// there and in internal/schema. A writer's field is read to the row's field of the
// same name, case included, which is that of its tag, `avro:"userName"`, or else of
// the column. An avro tag may have several names, for a field that was called
// otherwise in earlier schemas: `avro:"user,userName"`.
//
// Fields that the row does not have are checked and passed over. Fields that the
// writer does not have stay zero. A schema that has none of the row's fields, or one
// of another type, does not fit: where it is configured that is an error of the
// constructor, where it comes with the data the reason of a dead letter. Types fit
// as the specification's schema resolution has it, and beyond it where no value
// changes:
//
//	int, long                 integers of any width that holds the value; floats, rounded;
//	                          decimals without a fraction
//	float                     float32, float64
//	double                    float64
//	string, bytes, enum       string, []byte; what becomes a string must be UTF-8
//	fixed                     [N]byte of its size, []byte
//	decimal                   integers tagged decimal(p,s), uint64; without rounding
//	uuid                      [16]byte, string
//	date, timestamps          time.Time, shardlake.Instant; local ones as if in UTC
//	time-millis, -micros      time.Duration, or the number
//	array, map, record        slice, map, struct
//	null in a union           nil of a pointer, slice or map; zero if tagged omitzero
//
// Rows share no memory with their record; short strings share pieces of 4 KiB with
// those of other rows.
//
// Null where the row has no place for it, a branch that does not fit, and a number
// out of range are refused when they come.
//
// # What is refused
//
// A datum must be what its schema says to its last byte. Each of these becomes a
// dead letter: a datum that is cut short, bytes behind it, lengths that are negative
// or reach beyond it, counts of more than can be there, blocks that are not as long
// as they say, a branch or symbol that does not exist, a boolean of 2, an int of
// more than 32 bits, a string that is not UTF-8, a map with a key twice, times
// outside of the years 0 to 9999, more elements or levels or memory than the
// configured ones. All but equal keys and times is checked in fields that are passed
// over, too. Memory is taken as values come, never for what a length claims.
//
// # Why not a library
//
// On hostile input github.com/hamba/avro v2.31.0, which is archived, returns data
// that is cut short without an error, takes memory by a claimed length, and overflows
// the stack with a recursive schema. github.com/twmb/avro v1.9.1 refuses these, but
// takes strings that are not UTF-8 and booleans of 2, turns null into zero, lets the
// second of two equal keys win, and gives 256 KiB of data 1 GiB of memory where rows
// are wider than data. A scan before it would be this reader. Compiled for the
// columns of internal/schema, the reader needs no second set of tags and schemas.
package avro

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	bits "encoding/binary"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/codec/registry"
	"github.com/shardlake/shardlake/internal/schema"
)

// Framing says what lies before a datum.
type Framing int

// The framings.
const (
	// Plain is nothing: all data is written with Config.Schema.
	Plain Framing = iota
	// SingleObject is C3 01 and the fingerprint of one of Config.Schema and
	// Config.Schemas, CRC-64-AVRO, 8 bytes with the lowest first. Source: Avro's
	// specification, "Single-object encoding".
	SingleObject
	// Glue is the header of the AWS Glue Schema Registry: see registry.Glue.
	Glue
	// Confluent is the header of Confluent's registry: see registry.Confluent.
	Confluent
)

// Config holds the settings.
type Config struct {
	Framing Framing
	// Schema is what Plain data is written with, in JSON: the producer's schema, not
	// one that looks like the row.
	Schema string
	// Schemas are those that single objects may be written with, beside Schema.
	Schemas []string
	// Resolver gives the schemas of Glue and Confluent; share one registry.Cache
	// among all lanes. A version that it does not know makes dead letters, a registry
	// that does not answer stops the lane.
	Resolver registry.Resolver
	// Limits bound what compressed data of Glue is unpacked to.
	Limits codec.Limits

	// Elements is how many elements of arrays, entries of maps and records may be in
	// one payload; 1,000,000 by default. They may take no bytes there.
	Elements int
	// Memory is how many bytes the elements, entries and pointers of one row may take;
	// 64 MiB by default. They may take many times what they take in the payload.
	Memory int64
	// Depth is how many records, arrays and maps may be nested in one payload, of a
	// recursive schema too; 100 by default, at most 1,000.
	Depth int
}

const (
	defaultElements = 1_000_000
	defaultMemory   = 64 << 20
	defaultDepth    = 100
	maxDepth        = 1000
	// maxPlans is how many schemas of a registry a lane has compiled. Beyond it all are
	// compiled anew when they are met.
	maxPlans = 200
)

// Codec is a codec with these settings, which is passed as it stands. Its error says
// what is wrong with the settings, with T, or with a configured schema that does not
// fit it.
func (c Config) Codec[T any]() (codec.Decoder[T], error) {
	row, err := schema.Of(reflect.TypeFor[T]())
	if err != nil {
		return nil, fmt.Errorf("avro: %w", err)
	}
	d := &decoder{config: c, row: row}
	if d.input.most, err = c.budget(); err != nil {
		return nil, fmt.Errorf("avro: %w", err)
	}
	if err := d.prepare(); err != nil {
		return nil, fmt.Errorf("avro: rows of type %v: %w", reflect.TypeFor[T](), err)
	}
	return &rows[T]{d}, nil
}

func (c Config) budget() (budget, error) {
	if c.Elements < 0 || c.Memory < 0 || c.Depth < 0 || c.Depth > maxDepth {
		return budget{}, fmt.Errorf("settings: Elements is %d, Memory %d, Depth %d: want positive numbers, Depth at most %d, or 0 for the default", c.Elements, c.Memory, c.Depth, maxDepth)
	}
	b := budget{defaultElements, defaultMemory, defaultDepth}
	if c.Elements > 0 {
		b.elements = c.Elements
	}
	if c.Memory > 0 {
		b.memory = c.Memory
	}
	if c.Depth > 0 {
		b.depth = c.Depth
	}
	return b, nil
}

type rows[T any] struct{ *decoder }

// Decode makes rows.
func (d *rows[T]) Decode(ctx context.Context, records []shardlake.Record, rows []T) (n int, err error) {
	for spent := int64(0); n < len(records) && spent < codec.Enough; n++ {
		clear(rows[n : n+1])
		if err := d.read(ctx, records[n].Data, reflect.ValueOf(&rows[n]).UnsafePointer()); err != nil {
			return n, err
		}
		spent += d.input.most.memory - d.input.memory
	}
	return n, nil
}

// decoder is that of one lane.
type decoder struct {
	config Config
	row    *schema.Schema
	input  input

	plain   step
	objects map[uint64]step      // by fingerprint
	opener  *registry.Opener     // of registries
	plans   map[registry.ID]plan // of registries
}

// plan is how data of a registry's schema is read, or why it cannot be.
type plan struct {
	read step
	err  error
}

// prepare compiles the configured schemas.
func (d *decoder) prepare() (err error) {
	c := d.config
	switch registered := c.Framing == Glue || c.Framing == Confluent; {
	case c.Framing < Plain || c.Framing > Confluent:
		return fmt.Errorf("Framing is %d: want one of this package's constants", c.Framing)
	case registered && (c.Resolver == nil || c.Schema != "" || c.Schemas != nil):
		return errors.New("schemas of a registry come from Config.Resolver, and from nowhere else")
	case !registered && (c.Resolver != nil || c.Schema == "" && c.Schemas == nil || c.Framing == Plain && c.Schemas != nil):
		return errors.New("want the producer's schema in Config.Schema, further ones of single objects in Config.Schemas, and no Resolver")
	case c.Framing == Plain:
		d.plain, err = d.compile(c.Schema)
		return err
	case c.Framing == SingleObject:
		return d.single()
	}
	d.plans = map[registry.ID]plan{}
	framing := registry.Glue
	if c.Framing == Confluent {
		framing = registry.Confluent
	}
	d.opener, err = registry.NewOpener(registry.Config{Framing: framing, Limits: c.Limits})
	return err
}

func (d *decoder) single() error {
	d.objects = map[uint64]step{}
	all := d.config.Schemas
	if d.config.Schema != "" {
		all = append([]string{d.config.Schema}, all...)
	}
	for i, text := range all {
		read, err := d.compile(text)
		if err != nil {
			return fmt.Errorf("schema %d of %d: %w", i+1, len(all), err)
		}
		name, err := Fingerprint(text)
		if err != nil {
			return err
		}
		d.objects[name] = read
	}
	return nil
}

func (d *decoder) compile(definition string) (step, error) {
	n, err := parse(definition)
	if err != nil {
		return nil, err
	}
	return compile(n, d.row)
}

// read reads a payload to the address of a row that is zero.
func (d *decoder) read(ctx context.Context, data []byte, row unsafe.Pointer) error {
	step, datum, err := d.open(ctx, data)
	if err != nil {
		return err
	}
	s := &d.input
	s.begin(datum)
	if err = step(s, row); err == nil && s.left() > 0 {
		err = fmt.Errorf("%d bytes follow the datum", s.left())
	}
	at := s.at
	s.data = nil // shall not live on
	if err != nil {
		return shardlake.Reject(fmt.Errorf("avro: at byte %d of %d: %w", at, len(datum), err))
	}
	return nil
}

// open takes off the framing. Its error is the lane's answer.
func (d *decoder) open(ctx context.Context, data []byte) (step, []byte, error) {
	switch d.config.Framing {
	case Plain:
		return d.plain, data, nil
	case SingleObject:
		return d.object(data)
	}
	id, datum, err := d.opener.Open(data)
	if err != nil {
		return nil, nil, err
	}
	p, ok := d.plans[id]
	if !ok {
		s, err := d.config.Resolver.Schema(ctx, id)
		switch {
		case errors.Is(err, registry.ErrUnknown):
			return nil, nil, shardlake.Reject(fmt.Errorf("avro: schema %s: %w", id, registry.ErrUnknown))
		case err != nil:
			return nil, nil, fmt.Errorf("avro: %w", err)
		}
		p = d.plan(id, s)
	}
	return p.read, datum, p.err
}

// plan compiles a schema of a registry and keeps what comes of it.
func (d *decoder) plan(id registry.ID, s registry.Schema) (p plan) {
	var err error
	if s.Format != registry.Avro {
		err = fmt.Errorf("it is of format %q", cut(string(s.Format)))
	} else {
		p.read, err = d.compile(s.Definition)
	}
	if err != nil {
		p.err = shardlake.Reject(fmt.Errorf("avro: schema %s: %w", id, err))
	}
	if len(d.plans) >= maxPlans {
		clear(d.plans)
	}
	d.plans[id] = p
	return p
}

// objectSize is the length of a single object's header.
const objectSize = 10

func (d *decoder) object(data []byte) (step, []byte, error) {
	switch {
	case len(data) < objectSize:
		return nil, nil, shardlake.Reject(fmt.Errorf("avro: the payload is %d bytes, shorter than the header of a single object, which is %d", len(data), objectSize))
	case data[0] != 0xc3 || data[1] != 1:
		return nil, nil, shardlake.Reject(fmt.Errorf("avro: the payload begins with % x, a single object with c3 01", data[:2]))
	}
	read := d.objects[bits.LittleEndian.Uint64(data[2:])]
	if read == nil {
		return nil, nil, shardlake.Reject(fmt.Errorf("avro: none of the configured schemas has the fingerprint %x", data[2:objectSize]))
	}
	return read, data[objectSize:], nil
}
