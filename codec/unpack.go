package codec

import (
	"context"

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

// Unpack makes a codec of another one and of what takes a layer off. The inner
// decoder gets records like those of the stream, with the same position, key and
// times, whose Data is the unpacked payload. A dead letter holds the record as it
// was read from the stream, packed.
//
//	codec.Unpack(codec.JSON[Click], newDecrypter)
//
// Layers are taken off one by one, in the order in which they are written: a
// payload that was packed twice is refused by the inner decoder unless Unpack is
// there twice. A call unpacks 1 MiB of payloads ([Enough]), and the last beyond it.
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
	refused := u.unpack(ctx, records)
	if len(u.group) == 0 {
		return 0, refused
	}
	n, err := u.inner.Decode(ctx, u.group, rows[:len(u.group)])
	if err == nil && n == len(u.group) {
		err = refused // else it is about a record behind the one that the inner decoder refused
	}
	return n, err
}

// unpack fills the group from the first records on, until there is enough. Its
// error is about the record behind the group.
func (u *unpacking[T]) unpack(ctx context.Context, records []shardlake.Record) error {
	u.group = u.group[:0]
	for size, i := 0, 0; i < len(records) && size < Enough; i++ {
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
