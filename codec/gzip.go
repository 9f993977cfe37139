package codec

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"

	"github.com/shardlake/shardlake"
)

// Gzip makes a codec of another one for payloads that are compressed with gzip
// (RFC 1952), with the default limits:
//
//	kinesis.Source(cfg, codec.Gzip(codec.JSON[Click]), Click.when)
//
// Members back to back are one payload, as RFC 1952 has it. What is not gzip, is
// cut short, has a wrong checksum, has bytes behind its last member, or goes beyond
// the limits becomes a dead letter. What is inside is not looked at: gzip in gzip
// is Gzip(Gzip(inner)).
func Gzip[T any](inner func() (Decoder[T], error)) func() (Decoder[T], error) {
	return GzipConfig{}.Unpack(inner)
}

// GzipConfig holds the settings of [Gzip]. The zero value is the default.
type GzipConfig struct {
	Limits Limits
	// Plain passes payloads to the inner codec as they are if they do not begin with
	// the two bytes 1F 8B of gzip: for streams whose producers compress some records
	// and not others. No JSON, and no text in UTF-8, begins with these bytes; a
	// binary payload may.
	Plain bool
}

// Unpack is Gzip with these settings:
//
//	codec.GzipConfig{Plain: true}.Unpack(codec.JSON[Click])
func (c GzipConfig) Unpack[T any](inner func() (Decoder[T], error)) func() (Decoder[T], error) {
	return Unpack(inner, func() (Unpacker, error) {
		if err := c.Limits.Validate(); err != nil {
			return nil, fmt.Errorf("codec: gzip: %w", err)
		}
		return &gunzip{config: c}, nil
	})
}

type gunzip struct {
	config  GzipConfig
	packed  bytes.Reader
	reader  gzip.Reader
	scratch Scratch
}

var gzipMagic = []byte{0x1f, 0x8b}

func (g *gunzip) Unpack(_ context.Context, r *shardlake.Record) ([]byte, error) {
	switch {
	case bytes.HasPrefix(r.Data, gzipMagic):
	case g.config.Plain:
		return r.Data, nil
	case len(r.Data) == 0:
		return nil, shardlake.Reject(errors.New("gzip: the payload is empty"))
	default:
		return nil, shardlake.Reject(fmt.Errorf("gzip: the payload begins with % x, not with 1f 8b: is it plain? see GzipConfig.Plain", r.Data[:min(2, len(r.Data))]))
	}
	g.packed.Reset(r.Data)
	defer g.packed.Reset(nil)
	err := g.reader.Reset(&g.packed)
	var data []byte
	if err == nil {
		data, err = g.scratch.Read(g.config.Limits, &g.reader, len(r.Data))
	}
	if err != nil {
		return nil, shardlake.Reject(fmt.Errorf("gzip: at byte %d of %d: %w", len(r.Data)-g.packed.Len(), len(r.Data), err))
	}
	return bytes.Clone(data), nil // rows may keep it
}
