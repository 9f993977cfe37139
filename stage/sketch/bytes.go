package sketch

import (
	"encoding"
	"encoding/base64"
	"encoding/json/jsontext"
	"fmt"
)

func marshalJSON(m encoding.BinaryMarshaler) ([]byte, error) {
	b, err := m.MarshalBinary()
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, base64.StdEncoding.EncodedLen(len(b))+2)
	return append(base64.StdEncoding.AppendEncode(append(out, '"'), b), '"'), nil
}

// unmarshalJSON refuses what is longer than limit before it makes room for it.
func unmarshalJSON(m encoding.BinaryUnmarshaler, data []byte, limit int) error {
	if len(data) > base64.StdEncoding.EncodedLen(limit)+2 {
		return fmt.Errorf("a sketch of %d bytes of JSON: want at most %d bytes in base64", len(data), limit)
	}
	text, err := jsontext.AppendUnquote(nil, data)
	if err != nil {
		return fmt.Errorf("a sketch is a JSON string in base64: %w", err)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("a sketch is a JSON string in base64: %w", err)
	}
	return m.UnmarshalBinary(b)
}

// bytesOf is for encoders that have no error.
func bytesOf(m encoding.BinaryMarshaler) []byte {
	b, err := m.MarshalBinary()
	if err != nil {
		panic(fmt.Sprintf("sketch: %v", err))
	}
	return b
}
