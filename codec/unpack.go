package codec

import (
	"context"
	"fmt"

	"github.com/shardlake/shardlake"
)

// Unpacker takes one layer off a payload: compression, the header of a registry.
// One goroutine uses it, so it may keep readers and memory from call to call.
type Unpacker interface {
	// Unpack returns the payload inside r.Data, which is either a part of r.Data or
	// memory of its own: it is not written to again by anybody. It neither changes
	// nor keeps r. Its error is an answer like that of a decoder: shardlake.Reject,
	// shardlake.ErrSkip, or any other error, which stops the lane.
	Unpack(ctx context.Context, r *shardlake.Record) ([]byte, error)
}

// What is unpacked at once, beside the payload that goes beyond it.
const (
	groupBytes   = 1 << 20
	groupRecords = 512
)

// Unpack makes a codec of another one and of what takes a layer off. The inner
// decoder gets records like those of the stream, with the same position, key and
// times, whose Data is the unpacked payload. A dead letter holds the record as it
// was read from the stream, packed.
//
//	codec.Unpack(codec.JSON[Click], newDecrypter)
//
// Layers are taken off one by one, in the order in which they are written: a
// payload that was packed twice is refused by the inner decoder unless Unpack is
// there twice. At most 1 MiB of unpacked payloads and one more are held at a time;
// beyond that, memory is what the rows take.
//
// newUnpacker is called once for each lane.
func Unpack[T any](inner func() (Decoder[T], error), newUnpacker func() (Unpacker, error)) func() (Decoder[T], error) {
	return func() (Decoder[T], error) {
		u, err := newUnpacker()
		if err != nil {
			return nil, err
		}
		d, err := inner()
		if err != nil {
			return nil, err
		}
		return &unpacking[T]{unpacker: u, inner: d}, nil
	}
}

type unpacking[T any] struct {
	unpacker Unpacker
	inner    Decoder[T]
	group    []shardlake.Record // of one call; holds nothing in between
}

func (u *unpacking[T]) Decode(ctx context.Context, records []shardlake.Record, rows []T) (int, error) {
	defer func() { clear(u.group[:cap(u.group)]) }()
	for n := 0; n < len(records); {
		refused := u.unpack(ctx, records[n:])
		if len(u.group) > 0 {
			done, err := u.inner.Decode(ctx, u.group, rows[n:n+len(u.group)])
			if err == nil && done != len(u.group) {
				// Else a later record would be taken for this one, or the loop never end.
				err = fmt.Errorf("codec: the decoder breaks its contract: %d rows of %d records and no error", done, len(u.group))
			}
			if n += done; err != nil {
				return n, err // about a record before the one that could not be unpacked
			}
		}
		if refused != nil {
			return n, refused
		}
	}
	return len(records), nil
}

// unpack fills the group from the first records on. Its error is about the record
// behind the group.
func (u *unpacking[T]) unpack(ctx context.Context, records []shardlake.Record) error {
	u.group = u.group[:0]
	for size, i := 0, 0; i < len(records) && i < groupRecords && size < groupBytes; i++ {
		data, err := u.unpacker.Unpack(ctx, &records[i])
		if err != nil {
			return err
		}
		size += len(data)
		u.group = append(u.group, records[i])
		u.group[i].Data = data
	}
	return nil
}
