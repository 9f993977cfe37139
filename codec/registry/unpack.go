package registry

import (
	"bytes"
	"compress/zlib"
	"context"
	"fmt"
	"io"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
)

// Unpack makes a codec of another one for payloads with this header, which it takes
// off, with what is behind it unpacked within the default limits.
func (f Framing) Unpack[T any](inner func() (codec.Decoder[T], error)) func() (codec.Decoder[T], error) {
	return Config{Framing: f}.Unpack(inner)
}

// Config holds the settings of a stream.
type Config struct {
	Framing Framing      // required
	Limits  codec.Limits // of compressed payloads
}

// Unpack makes a codec of another one for payloads with a header, which it takes
// off. The schema is not asked for: the inner codec must know what it reads. What
// has no such header, or cannot be unpacked, becomes a dead letter.
func (c Config) Unpack[T any](inner func() (codec.Decoder[T], error)) func() (codec.Decoder[T], error) {
	return codec.Unpack(inner, func() (codec.Unpacker, error) {
		o, err := NewOpener(c)
		return unpacker{o}, err
	})
}

type unpacker struct{ opener *Opener }

func (u unpacker) Unpack(_ context.Context, r *shardlake.Record) ([]byte, error) {
	h, payload, err := u.opener.open(r.Data)
	if err == nil && h.Zlib {
		payload = bytes.Clone(payload) // rows may keep it
	}
	return payload, err
}

// Opener opens payloads, one after the other. One goroutine uses it.
type Opener struct {
	config  Config
	packed  bytes.Reader
	reader  io.ReadCloser // nil until the first compressed payload
	scratch codec.Scratch
}

// NewOpener returns an opener. Its error says what is wrong with the settings.
func NewOpener(c Config) (*Opener, error) {
	if c.Framing != Glue && c.Framing != Confluent {
		return nil, fmt.Errorf("registry: Framing is %d: want registry.Glue or registry.Confluent, as the producers have it", c.Framing)
	}
	if err := c.Limits.Validate(); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	return &Opener{config: c}, nil
}

// Open returns the id in the header and the unpacked payload, which is good until
// the next call, or a refusal for the dead letters (shardlake.Reject).
func (o *Opener) Open(data []byte) (ID, []byte, error) {
	h, payload, err := o.open(data)
	return h.ID, payload, err
}

func (o *Opener) open(data []byte) (Header, []byte, error) {
	h, payload, err := o.config.Framing.Cut(data)
	if err != nil {
		return Header{}, nil, shardlake.Reject(fmt.Errorf("registry: %w", err))
	}
	if !h.Zlib {
		return h, payload, nil
	}
	o.packed.Reset(payload)
	defer o.packed.Reset(nil)
	out, err := o.inflate(len(payload))
	if err == nil && o.packed.Len() > 0 {
		err = fmt.Errorf("%d bytes follow the compressed payload", o.packed.Len())
	}
	if err != nil {
		return Header{}, nil, shardlake.Reject(fmt.Errorf("registry: schema version %s: zlib: at byte %d of %d: %w", h.ID, len(data)-o.packed.Len(), len(data), err))
	}
	return h, out, nil
}

func (o *Opener) inflate(size int) ([]byte, error) {
	err := o.reset()
	if err != nil {
		return nil, err
	}
	return o.scratch.Read(o.config.Limits, o.reader, size)
}

// reset begins a stream: a new reader wants to see one, unlike one of gzip.
func (o *Opener) reset() (err error) {
	if again, ok := o.reader.(zlib.Resetter); ok {
		return again.Reset(&o.packed, nil)
	}
	o.reader, err = zlib.NewReader(&o.packed)
	if err != nil {
		o.reader = nil
	}
	return err
}
