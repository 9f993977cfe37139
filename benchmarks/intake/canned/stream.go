// Package canned is a Kinesis service whose answers are ready before they are asked
// for, so that it is never what a benchmark waits for.
package canned

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Stream is one that the server knows by its name alone, so that nothing has to be
// put into it: each shard gives so many answers of so many records, all the same
// ones, and nothing more for ever.
type Stream struct {
	Shards  int
	Answers int // of each shard
	Records int // of each answer
}

// String is the name.
func (s Stream) String() string {
	return fmt.Sprintf("clicks-%d-%d-%d", s.Shards, s.Answers, s.Records)
}

// StreamOf reads a name.
func StreamOf(name string) (s Stream, err error) {
	_, err = fmt.Sscanf(name, "clicks-%d-%d-%d", &s.Shards, &s.Answers, &s.Records)
	if err != nil || s.Shards < 1 || s.Answers < 1 || s.Records < 1 {
		return s, fmt.Errorf("stream %q: want clicks-SHARDS-ANSWERS-RECORDS", name)
	}
	return s, nil
}

// PerShard is the number of records in a shard.
func (s Stream) PerShard() int { return s.Answers * s.Records }

// Total is the number of records in the stream.
func (s Stream) Total() int64 { return int64(s.Shards) * int64(s.PerShard()) }

// tails are the answers of a shard, without the members that differ from shard to
// shard: what follows the iterator, in JSON and in CBOR.
type tails struct{ json, cbor [][]byte }

// make writes all answers. Members come in the order of the service's.
func (s Stream) make() (t tails, err error) {
	rows := Clicks(s.PerShard())
	for k := range s.Answers {
		j := []byte(`"Records":[`)
		c := head(text(nil, "Records"), 4, uint64(s.Records))
		for i := range s.Records {
			n := k*s.Records + i
			data, err := json.Marshal(rows[n])
			if err != nil {
				return t, err
			}
			arrived := rows[n].Time.UnixMilli() + 40
			sequence := sequence(n)
			if i > 0 {
				j = append(j, ',')
			}
			j = fmt.Appendf(j, `{"ApproximateArrivalTimestamp":%.12fE9,"Data":"`, float64(arrived)/1e12)
			j = base64.StdEncoding.AppendEncode(j, data)
			j = fmt.Appendf(j, `","PartitionKey":"%s","SequenceNumber":"%s"}`, rows[n].User, sequence)
			c = head(c, 5, 4)
			c = head(append(text(c, "ApproximateArrivalTimestamp"), 0xc1), 0, uint64(arrived)) // tag 1: a time
			c = append(head(text(c, "Data"), 2, uint64(len(data))), data...)
			c = text(text(c, "PartitionKey"), rows[n].User)
			c = text(text(c, "SequenceNumber"), sequence)
		}
		t.json, t.cbor = append(t.json, append(j, "]}"...)), append(t.cbor, c)
	}
	return t, nil
}

const prefix = "4959033827149025660855969253836157"

// sequence is the sequence number of the record with this index in its shard.
func sequence(n int) string { return fmt.Sprintf(prefix+"%022d", 1_000_000+n*7) }

// after is the answer that follows a record, which must be the last of its answer:
// no consumer has a reason to go on anywhere else. Without a record it is the first.
func (s Stream) after(number string) (answer int, err error) {
	if number == "" {
		return 0, nil
	}
	var n int
	if _, err := fmt.Sscanf(number, prefix+"%d", &n); err != nil {
		return 0, fmt.Errorf("sequence number %q is none of this server's: %w", number, err)
	}
	n = (n-1_000_000)/7 + 1
	if n < 1 || n%s.Records != 0 || number != sequence(n-1) {
		return 0, fmt.Errorf("sequence number %q does not end an answer", number)
	}
	return n / s.Records, nil
}

// text appends a text string in CBOR (RFC 8949, section 3).
func text(b []byte, s string) []byte { return append(head(b, 3, uint64(len(s))), s...) }

// head appends the head of an item of a major type in CBOR.
func head(b []byte, major byte, n uint64) []byte {
	if n < 24 {
		return append(b, major<<5|byte(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major<<5|27), n)
}
