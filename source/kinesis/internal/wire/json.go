package wire

import "bytes"

// parseJSON reads an answer in AWS JSON 1.1. It reports false, and leaves a as it
// was, for whatever it does not know for sure that the SDK would read in the same
// way: then the SDK has to decide.
func parseJSON(body []byte, x *index, a *Answer) bool {
	if indexJSON(body, x, false) && x.fill(a, body, false) {
		return true
	}
	// Payloads are taken to have no escapes, as base64 needs none. Some writers
	// escape its slashes all the same.
	return bytes.IndexByte(body, '\\') >= 0 && indexJSON(body, x, true) && x.fill(a, body, false)
}

func indexJSON(body []byte, x *index, careful bool) bool {
	x.reset()
	c := cursor{b: body, x: x, careful: careful}
	if !c.answer() {
		return false
	}
	c.space()
	return c.p == len(body)
}

// member is one that is understood.
type member uint8

const (
	unknown member = iota
	childShards
	millisBehindLatest
	nextShardIterator
	recordsList
	approximateArrivalTimestamp
	data
	encryptionType
	partitionKey
	sequenceNumber
)

// answer reads the object that is all of the body. As in the SDK, a member that is
// null is as if it were not there, of one that comes twice the last counts, and
// unknown ones are skipped. Payloads that come twice are left to the SDK: the first
// may be no base64.
func (c *cursor) answer() bool {
	if !c.take('{') {
		return false
	}
	if c.take('}') {
		return true
	}
	for {
		name, ok := c.name()
		if !ok {
			return false
		}
		if !c.null() {
			switch string(name) {
			case "Records":
				ok = c.records()
			case "NextShardIterator":
				c.x.hasNext = true
				c.x.next, ok = c.text()
			case "MillisBehindLatest":
				c.x.hasBehind = true
				c.x.behind, ok = c.integer()
			case "ChildShards":
				// A shard has them in its last answer only, which the SDK may read.
				ok = c.take('[') && c.take(']')
			default:
				ok = c.skip(0)
			}
			if !ok {
				return false
			}
		}
		if !c.take(',') {
			return c.take('}')
		}
	}
}

func (c *cursor) records() bool {
	if len(c.x.entries) > 0 || !c.take('[') {
		return false
	}
	if c.take(']') {
		return true
	}
	for {
		e := c.x.add()
		if e == nil || !c.record(e) {
			return false
		}
		if !c.take(',') {
			return c.take(']')
		}
	}
}

func (c *cursor) record(e *entry) bool {
	if !c.take('{') {
		return false
	}
	if c.take('}') {
		return true
	}
	for {
		m := c.field()
		if m == unknown {
			name, ok := c.name()
			if !ok {
				return false
			}
			m = fieldOf(name)
		}
		if !c.null() {
			var ok bool
			switch m {
			case data:
				if e.hasData {
					return false
				}
				e.hasData = true
				e.data, ok = c.payload()
			case partitionKey:
				e.key, ok = c.text()
			case sequenceNumber:
				e.seq, ok = c.text()
			case approximateArrivalTimestamp:
				e.arrived, ok = c.timestamp()
			case encryptionType:
				_, ok = c.text() // the SDK refuses what is not a string
			default:
				ok = c.skip(0)
			}
			if !ok {
				return false
			}
		}
		if !c.take(',') {
			return c.take('}')
		}
	}
}

// field reads the name of a record's member in the form that the service gives it,
// with its colon. Unknown says that it is another one, or in another form.
func (c *cursor) field() member {
	c.space()
	rest := c.b[c.p:]
	if len(rest) < len(`"Data":`) {
		return unknown
	}
	switch rest[1] {
	case 'D':
		if string(rest[:7]) == `"Data":` {
			c.p += 7
			return data
		}
	case 'P':
		if len(rest) >= 15 && string(rest[:15]) == `"PartitionKey":` {
			c.p += 15
			return partitionKey
		}
	case 'S':
		if len(rest) >= 17 && string(rest[:17]) == `"SequenceNumber":` {
			c.p += 17
			return sequenceNumber
		}
	case 'A':
		if len(rest) >= 30 && string(rest[:30]) == `"ApproximateArrivalTimestamp":` {
			c.p += 30
			return approximateArrivalTimestamp
		}
	case 'E':
		if len(rest) >= 17 && string(rest[:17]) == `"EncryptionType":` {
			c.p += 17
			return encryptionType
		}
	}
	return unknown
}

func fieldOf(name []byte) member {
	switch string(name) {
	case "Data":
		return data
	case "PartitionKey":
		return partitionKey
	case "SequenceNumber":
		return sequenceNumber
	case "ApproximateArrivalTimestamp":
		return approximateArrivalTimestamp
	case "EncryptionType":
		return encryptionType
	}
	return unknown
}
