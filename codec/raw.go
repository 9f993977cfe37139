package codec

import (
	"context"

	"github.com/shardlake/shardlake"
)

// Raw is the codec of payloads as they are: a row is the Data of its record. The
// bytes are shared with the record and must not be changed; what keeps a row keeps
// the answer of the service alive that it is a part of. No payload is refused: a
// record without data is an empty row. codec.Map makes something of the bytes:
//
//	codec.Map(codec.Raw, parseLine)
func Raw() (Decoder[[]byte], error) { return raw{}, nil }

type raw struct{}

func (raw) Decode(_ context.Context, records []shardlake.Record, rows [][]byte) (int, error) {
	for i := range records {
		data := records[i].Data
		rows[i] = data[:len(data):len(data)] // appending to a row does not write on
	}
	return len(records), nil
}
