package registry

import (
	"context"
	"errors"
)

// Format is the language of a schema, as both registries' APIs write it.
type Format string

// The formats.
const (
	Avro     Format = "AVRO"
	JSON     Format = "JSON"
	Protobuf Format = "PROTOBUF"
)

// Schema is a version of a schema.
type Schema struct {
	Format     Format
	Definition string // of Avro: the schema in JSON
}

// Resolver asks a registry for the version of a schema that an id names. For Glue
// that is the call GetSchemaVersion with SchemaVersionId, which answers with
// SchemaDefinition and DataFormat.
//
// An error that wraps [ErrUnknown] says that the registry has no such version: the
// record becomes a dead letter. One that wraps [ErrRefused] says that it is useless
// to ask again. Any other error may pass. None of the last two is held against the
// record: they stop the lane.
type Resolver interface {
	// Schema is called by several goroutines. It gives up when ctx ends.
	Schema(ctx context.Context, id ID) (Schema, error)
}

// ErrUnknown says that the registry answered, and has no such version.
var ErrUnknown = errors.New("the registry does not know it")

// ErrRefused says that the registry will go on to refuse the question as it is
// asked: for want of permission, or because what answers is no registry.
var ErrRefused = errors.New("the registry refuses to answer")
