package wire

import (
	"bytes"
	"errors"
	"math"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake"
)

// parseCBOR reads an answer in AWS CBOR 1.1. The error says what it does not
// understand, and a is then as it was.
func parseCBOR(body []byte, x *index, a *Answer) error {
	x.reset()
	c := decoder{b: body, x: x}
	if c.answer() && c.p != len(body) {
		c.fail("more follows the answer")
	}
	if c.err != nil {
		return c.err
	}
	if !x.fill(a, body, true) {
		return errors.New("unreachable: bytes need no decoding")
	}
	a.Children = c.children
	return nil
}

func (c *decoder) answer() bool {
	return c.object(0, func(name []byte) bool {
		switch string(name) {
		case "Records":
			c.x.entries = c.x.entries[:0]
			return c.list(1, func() bool {
				e := c.x.add()
				if e == nil {
					return c.fail("more than %d records", maxRecords)
				}
				return c.record(e)
			})
		case "NextShardIterator":
			s, ok := c.chunk(majorText)
			c.x.next, c.x.hasNext = s, true
			return ok
		case "MillisBehindLatest":
			c.x.hasBehind = true
			return c.integer(&c.x.behind)
		case "ChildShards":
			c.children = nil // of a member that comes twice, the last counts
			return c.list(1, c.child)
		}
		return c.skip(1)
	})
}

// record is object without a call for each member.
func (c *decoder) record(e *entry) bool {
	n, ok := c.open(majorMap)
	if !ok {
		return false
	}
	for ; c.more(&n); n-- {
		name, ok := c.chunk(majorText)
		if !ok {
			return false
		}
		if c.null() {
			continue
		}
		switch fieldOf(c.x.bytes(c.b, name)) {
		case data:
			e.hasData = true
			e.data, ok = c.chunk(majorBytes)
		case partitionKey:
			e.key, ok = c.chunk(majorText)
		case sequenceNumber:
			e.seq, ok = c.chunk(majorText)
		case approximateArrivalTimestamp:
			e.arrived, ok = c.timestamp()
		default:
			ok = c.skip(2)
		}
		if !ok {
			return false
		}
	}
	return c.err == nil
}

func (c *decoder) child() bool {
	if len(c.children) == maxRecords {
		return c.fail("more than %d children", maxRecords)
	}
	var s types.ChildShard
	ok := c.object(2, func(name []byte) bool {
		switch string(name) {
		case "ShardId":
			return c.string(&s.ShardId)
		case "ParentShards":
			s.ParentShards = []string{}
			return c.list(3, func() bool {
				var id *string
				ok := c.string(&id)
				s.ParentShards = append(s.ParentShards, aws.ToString(id))
				return ok
			})
		case "HashKeyRange":
			s.HashKeyRange = &types.HashKeyRange{}
			return c.object(3, func(name []byte) bool {
				switch string(name) {
				case "StartingHashKey":
					return c.string(&s.HashKeyRange.StartingHashKey)
				case "EndingHashKey":
					return c.string(&s.HashKeyRange.EndingHashKey)
				}
				return c.skip(4)
			})
		}
		return c.skip(3)
	})
	c.children = append(c.children, s)
	return ok
}

// number reads a whole number that is not negative, after tag 1 or not.
func (c *decoder) number() (uint64, bool) {
	major, info, v, ok := c.head()
	if ok && major == majorTag && v == tagTime {
		major, info, v, ok = c.head()
	}
	if !ok {
		return 0, false
	}
	f := math.NaN()
	switch {
	case major == majorUint:
		return v, true
	case major == majorOther && info == 26:
		f = float64(math.Float32frombits(uint32(v)))
	case major == majorOther && info == 27:
		f = math.Float64frombits(v)
	}
	if f >= 0 && f < 1<<62 && f == math.Trunc(f) {
		return uint64(f), true
	}
	return 0, c.fail("not a whole number")
}

func (c *decoder) integer(into *int64) bool {
	v, ok := c.number()
	if ok && v > math.MaxInt64 {
		return c.fail("the number %d is too large", v)
	}
	*into = int64(v)
	return ok
}

// leastArrived are the milliseconds until 1973. A smaller number, given by a server
// that takes RFC 8949 at its word, counts seconds.
const leastArrived = 100_000_000_000

func (c *decoder) timestamp() (shardlake.Instant, bool) {
	v, ok := c.number()
	switch {
	case !ok:
		return 0, false
	case v < leastArrived || v >= maxArrived:
		return 0, c.fail("the time %d is not in milliseconds since 1970", v)
	}
	return shardlake.Instant(v) * 1000, true
}

func (c *decoder) string(into **string) bool {
	s, ok := c.chunk(majorText)
	*into = aws.String(string(c.x.bytes(c.b, s)))
	return ok
}

// parseError reads an error in AWS CBOR 1.1: a map with the texts __type and message.
// It reports false for anything else.
func parseError(body []byte) (map[string]string, bool) {
	c := decoder{b: bytes.Clone(body), x: new(index)} // reading moves things
	fields := map[string]string{}
	ok := c.object(0, func(name []byte) bool {
		switch string(name) {
		case "__type", "message", "Message":
			s, ok := c.chunk(majorText)
			fields[string(name)] = string(c.x.bytes(c.b, s))
			return ok
		}
		return c.skip(1)
	})
	return fields, ok && len(fields) > 0
}
