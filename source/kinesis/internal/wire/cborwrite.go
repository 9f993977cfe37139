package wire

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// writeCBOR puts another body into a request that the SDK has written in JSON. The
// target and all other headers stay.
func writeCBOR(in *kinesis.GetRecordsInput, req *smithyhttp.Request) error {
	own, err := req.SetStream(bytes.NewReader(encodeInput(in)))
	if err != nil {
		return err
	}
	*req = *own
	req.Header.Set("Content-Type", contentCBOR)
	return nil
}

// encodeInput is a map of the members that are set.
func encodeInput(in *kinesis.GetRecordsInput) []byte {
	b := []byte{majorMap << 5}
	member := func(name string) {
		b[0]++
		b = appendText(b, name)
	}
	if in.DryRun != nil {
		member("DryRun")
		b = append(b, majorOther<<5|20)
		if *in.DryRun {
			b[len(b)-1]++
		}
	}
	if in.Limit != nil {
		member("Limit")
		if n := int64(*in.Limit); n < 0 {
			b = appendHead(b, majorNegative, uint64(-n-1))
		} else {
			b = appendHead(b, majorUint, uint64(n))
		}
	}
	for _, s := range []struct {
		name  string
		value *string
	}{{"ShardIterator", in.ShardIterator}, {"StreamARN", in.StreamARN}, {"StreamId", in.StreamId}} {
		if s.value != nil {
			member(s.name)
			b = appendText(b, *s.value)
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(appendHead(b, majorText, uint64(len(s))), s...)
}

func appendHead(b []byte, major byte, v uint64) []byte {
	major <<= 5
	switch {
	case v < 24:
		return append(b, major|byte(v))
	case v <= math.MaxUint8:
		return append(b, major|24, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), v)
}
