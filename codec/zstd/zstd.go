// Package zstd unpacks payloads that are compressed with Zstandard (RFC 8878). It
// stands on github.com/klauspost/compress/zstd, of which this is the one use in
// decoding.
//
//	kinesis.Source(cfg, zstd.Unpack(codec.JSON[Click]), Click.when)
//
// # What is refused
//
// Frames back to back are one payload, and skippable frames are passed over, as the
// RFC has it. What is not Zstandard, is cut short, has a wrong checksum or length,
// has other bytes behind its last frame, needs a dictionary, wants a larger window
// than the configured one, or goes beyond the limits becomes a dead letter.
//
// # Memory
//
// Payloads are read as a stream: neither the length nor the window that a frame
// claims decides how much memory is taken, beyond the largest window. A decoder
// belongs to one lane, works in its goroutine and starts none; it keeps a window and
// some tables, at most about twice the largest window that it has met.
package zstd

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
)

// Unpack makes a codec of another one for payloads that are compressed with
// Zstandard, with the default settings.
func Unpack[T any](inner func() (codec.Decoder[T], error)) func() (codec.Decoder[T], error) {
	return Config{}.Unpack(inner)
}

// Config holds the settings. The zero value is the default.
type Config struct {
	Limits codec.Limits
	// Window is the largest window in bytes; 8 MiB by default, which RFC 8878,
	// section 3.1.1.1.2, wants any decoder to take, and 1 KiB to 512 MiB. Encoders go
	// beyond 8 MiB only at their highest levels or with the option "long". A lane
	// may hold about two windows.
	Window int64
	// Plain passes payloads to the inner codec as they are if they do not begin with
	// the magic number of a frame, 28 B5 2F FD: for streams whose producers compress
	// some records and not others. Text in UTF-8 never begins so; a binary payload
	// may.
	Plain bool
}

const (
	defaultWindow = 8 << 20
	minWindow     = 1 << 10
	maxWindow     = 512 << 20
)

// Unpack makes a codec of another one with these settings:
//
//	zstd.Config{Limits: codec.Limits{Bytes: 16 << 20}}.Unpack(codec.JSON[Click])
func (c Config) Unpack[T any](inner func() (codec.Decoder[T], error)) func() (codec.Decoder[T], error) {
	return codec.Unpack(inner, c.unpacker)
}

func (c Config) unpacker() (codec.Unpacker, error) {
	if c.Window == 0 {
		c.Window = defaultWindow
	}
	if err := c.Limits.Validate(); err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	if c.Window < minWindow || c.Window > maxWindow {
		return nil, fmt.Errorf("zstd: Window is %d: want %d to %d bytes, or 0 for the default", c.Window, minWindow, maxWindow)
	}
	r, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1), // in the caller's goroutine, and it starts none
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(uint64(c.Window)),
		zstd.WithDecoderMaxMemory(uint64(c.Limits.Most(1<<30))))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return &unpacker{config: c, reader: r}, nil
}

type unpacker struct {
	config  Config
	packed  bytes.Reader
	reader  *zstd.Decoder
	scratch codec.Scratch
}

var magic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// skippable tells whether a payload begins with a frame that is passed over: its
// magic number is 0x184D2A50 to 0x184D2A5F, lowest byte first.
func skippable(b []byte) bool {
	return len(b) >= 4 && b[0]&0xf0 == 0x50 && b[1] == 0x2a && b[2] == 0x4d && b[3] == 0x18
}

func (u *unpacker) Unpack(_ context.Context, r *shardlake.Record) ([]byte, error) {
	switch {
	case bytes.HasPrefix(r.Data, magic):
	case u.config.Plain:
		return r.Data, nil
	case len(r.Data) == 0:
		return nil, shardlake.Reject(errors.New("zstd: the payload is empty"))
	case !skippable(r.Data):
		return nil, shardlake.Reject(fmt.Errorf("zstd: the payload begins with % x, not with 28 b5 2f fd: is it plain? see Config.Plain", r.Data[:min(4, len(r.Data))]))
	}
	u.packed.Reset(r.Data)
	err := u.reader.Reset(&u.packed)
	var data []byte
	if err == nil {
		data, err = u.scratch.Read(u.config.Limits, u.reader, len(r.Data))
	}
	at := len(r.Data) - u.packed.Len()
	u.packed.Reset(nil)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = fmt.Errorf("it wants a larger window than %d bytes: see Config.Window", u.config.Window)
	}
	if err != nil {
		return nil, shardlake.Reject(fmt.Errorf("zstd: at byte %d of %d: %w", at, len(r.Data), err))
	}
	return bytes.Clone(data), nil // rows may keep it
}
