// Package registry reads payloads that name their schema by a version in a schema
// registry: the framings of the AWS Glue Schema Registry and of Confluent's.
//
//	kinesis.Source(cfg, registry.Glue.Unpack(codec.JSON[Click]), Click.when)
//
// # Framing
//
// Which framing a stream has is said, never guessed: a plain Avro datum may begin
// with the bytes of either header (Apicurio/apicurio-registry#1479). A payload
// without the header that it should have becomes a dead letter, whose reason says
// what was found.
//
// Payloads are opened with Unpack where they need no schema to be read, as JSON; by
// package avro where they do.
//
// # Schemas
//
// A [Resolver] gives the definition of a version. It is asked through a [Cache],
// which all lanes share: versions are immutable, so each is asked for once. Here is
// no client of Glue; package confluent has one of Confluent's registry.
package registry

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
)

// Framing is the form of the header.
type Framing int

// The framings. The zero Framing is none of them.
const (
	// Glue is the framing of the AWS Glue Schema Registry's serializers, 18 bytes:
	// 03, the version of the header; 00 for a plain payload or 05 for one that is
	// compressed with zlib (RFC 1950); the UUID of the schema version, high byte
	// first. Source: GlueSchemaRegistrySerializer and AWSSchemaRegistryConstants of
	// awslabs/aws-glue-schema-registry.
	Glue Framing = 1 + iota
	// Confluent is the framing of Confluent's serializers, 5 bytes: 00, and the number
	// of the schema, 32 bits with the high byte first. Behind it Protobuf payloads
	// have a list of message indexes, which is left to the inner codec. Source:
	// Confluent's documentation, "Wire format".
	Confluent
)

// String names the framing.
func (f Framing) String() string {
	switch f {
	case Glue:
		return "Glue"
	case Confluent:
		return "Confluent"
	}
	return "Framing(" + strconv.Itoa(int(f)) + ")"
}

const (
	glueVersion   = 3
	gluePlain     = 0
	glueZlib      = 5
	glueSize      = 18
	confluentSize = 5
)

// ID names an immutable version of a schema in a registry. IDs can be compared and
// be keys of a map.
type ID struct {
	Framing Framing
	UUID    [16]byte // of Glue
	Number  uint32   // of Confluent
}

// String is the id as the registry's API writes it: a UUID in lower case of 36
// characters, or a decimal number.
func (id ID) String() string {
	if id.Framing == Confluent {
		return strconv.FormatUint(uint64(id.Number), 10)
	}
	s := hex.EncodeToString(id.UUID[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// Header is what lies before a payload.
type Header struct {
	ID   ID
	Zlib bool // the payload is compressed
}

// Cut separates the header from the payload behind it, which is a part of data and
// as compressed as it is there. Its error says what was found instead of a header.
func (f Framing) Cut(data []byte) (Header, []byte, error) {
	switch f {
	case Glue:
		switch {
		case len(data) < glueSize:
			return Header{}, nil, short(f, data, glueSize)
		case data[0] != glueVersion:
			return Header{}, nil, fmt.Errorf("the payload begins with %02x, a Glue header with 03%s", data[0], perhaps(data[0]))
		case data[1] != gluePlain && data[1] != glueZlib:
			return Header{}, nil, fmt.Errorf("the Glue header names compression %02x, which is neither 00 for none nor 05 for zlib", data[1])
		}
		return Header{ID{Framing: f, UUID: [16]byte(data[2:])}, data[1] == glueZlib}, data[glueSize:], nil
	case Confluent:
		switch {
		case len(data) < confluentSize:
			return Header{}, nil, short(f, data, confluentSize)
		case data[0] != 0:
			return Header{}, nil, fmt.Errorf("the payload begins with %02x, a Confluent header with 00%s", data[0], perhaps(data[0]))
		}
		return Header{ID: ID{Framing: f, Number: binary.BigEndian.Uint32(data[1:])}}, data[confluentSize:], nil
	}
	return Header{}, nil, errFraming
}

var errFraming = errors.New("the framing is neither Glue nor Confluent")

func short(f Framing, data []byte, size int) error {
	return fmt.Errorf("the payload is %d bytes, shorter than a %v header, which is %d", len(data), f, size)
}

// perhaps hints at what a first byte is usual for. It is no more than a hint.
func perhaps(first byte) string {
	switch first {
	case 0:
		return "; 00 is what a Confluent header begins with"
	case glueVersion:
		return "; 03 is what a Glue header begins with"
	case '{', '[':
		return "; it may be JSON without a header"
	case 0xc3:
		return "; c3 is what Avro's single-object encoding begins with"
	case 0x1f:
		return "; 1f is what gzip begins with"
	}
	return ""
}
