package avro

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/shardlake/shardlake/sink"
)

// The header is the magic, a map of metadata in one block, and the sync marker.
// The map begins with what is known only when the file ends: a stretch of fixed
// length at a fixed place, near enough to the start for PatchHead whatever the
// length of the schema. A last entry of blanks makes up for what the values do
// not need, so no reader sees a padded value.

const magic = "Obj\x01"

// late are the keys whose values are patched, with the room each gets: a position
// is a number of 128 digits and an index, a time 27 characters.
func late(key string) (room int) {
	switch key {
	case "shardlake.first", "shardlake.last":
		return 128 + 1 + 20
	case "shardlake.rows":
		return 20
	case "shardlake.min-time", "shardlake.max-time":
		return 27
	}
	return 0
}

const (
	paddingKey = "shardlake.padding"
	// minPadding is the length from which on a length takes two bytes: then each
	// number of bytes can be made up for.
	minPadding = 64
	// lateOffset is where the stretch begins: after the magic and the count of
	// entries, which takes one byte up to 63.
	lateOffset = len(magic) + 1
	maxEntries = 63
)

func appendText(b []byte, s string) []byte {
	return append(binary.AppendVarint(b, int64(len(s))), s...)
}

// appendLate appends the stretch with the values of info.
func appendLate(b []byte, info sink.FileInfo) ([]byte, error) {
	from, size := len(b), 0
	for _, p := range info.Pairs() {
		room := late(p[0])
		if room == 0 {
			continue
		}
		if len(p[1]) > room {
			return b, fmt.Errorf("avro: %s is %q, longer than the %d bytes that the header has for it", p[0], p[1], room)
		}
		b = appendText(appendText(b, p[0]), p[1])
		size += 1 + len(p[0]) + 2 + room
	}
	size += 1 + len(paddingKey) + 2 + minPadding
	b = appendText(b, paddingKey)
	return appendText(b, strings.Repeat(" ", size-(len(b)-from)-2)), nil
}

// header writes the header for the block at hand.
func (w *writer) header(info sink.FileInfo) error {
	w.sync = w.marker(info)
	pairs := [][2]string{
		{"avro.schema", w.schema}, {"avro.codec", w.Codec.String()}, {"shardlake.schema", w.fingerprint},
	}
	entries := len(pairs) + 1
	for _, p := range info.Pairs() {
		if entries++; late(p[0]) == 0 {
			pairs = append(pairs, p)
		}
	}
	if entries > maxEntries {
		return fmt.Errorf("avro: %d entries of metadata, more than %d", entries, maxEntries)
	}
	b := binary.AppendVarint([]byte(magic), int64(entries))
	b, err := appendLate(b, info)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		b = appendText(appendText(b, p[0]), strings.ToValidUTF8(p[1], "\uFFFD"))
	}
	b = append(append(b, 0), w.sync[:]...)
	if _, err := w.out.Write(b); err != nil {
		return err
	}
	w.begun = true
	return nil
}
