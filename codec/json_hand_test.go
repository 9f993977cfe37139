package codec_test

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"time"
	"unsafe"
)

// click is the record of about 316 bytes that benchmarks/engine reads.
type click struct {
	ID      int64             `json:"id"`
	Time    time.Time         `json:"time"`
	User    string            `json:"user"`
	Session string            `json:"session"`
	URL     string            `json:"url"`
	Referer string            `json:"referer"`
	Agent   string            `json:"agent"`
	Country string            `json:"country"`
	Type    string            `json:"type"`
	Millis  int32             `json:"millis"`
	Price   float64           `json:"price"`
	Tags    []string          `json:"tags"`
	Skip    map[string]string `json:"-"`
}

// hand decodes clicks as one writes it for this type and for speed: the names in the
// order in which they come, as constants; one scan over text, eight bytes at a time;
// strings copied into chunks. It does without what JSON has to do besides: it knows
// no other order, no white space, no ignored members, no escapes, no text but ASCII.
type hand struct {
	room []byte
	tags []string
}

func (h *hand) decode(b []byte, c *click) bool {
	*c = click{}
	var ok bool
	i := 0
	if i, ok = handName(b, i, `{"id":`); !ok {
		return false
	}
	if c.ID, i, ok = handInt(b, i); !ok {
		return false
	}
	if i, ok = handName(b, i, `,"time":`); !ok {
		return false
	}
	if c.Time, i, ok = handTime(b, i); !ok {
		return false
	}
	if i, ok = handName(b, i, `,"user":`); !ok {
		return false
	}
	if c.User, i, ok = h.text(b, i); !ok {
		return false
	}
	if i, ok = handName(b, i, `,"session":`); !ok {
		return false
	}
	if c.Session, i, ok = h.text(b, i); !ok {
		return false
	}
	if i, ok = handName(b, i, `,"url":`); !ok {
		return false
	}
	if c.URL, i, ok = h.text(b, i); !ok {
		return false
	}
	if i, ok = handName(b, i, `,"referer":`); !ok {
		return false
	}
	if c.Referer, i, ok = h.text(b, i); !ok {
		return false
	}
	if i, ok = handName(b, i, `,"agent":`); !ok {
		return false
	}
	if c.Agent, i, ok = h.text(b, i); !ok {
		return false
	}
	if i, ok = handName(b, i, `,"country":`); !ok {
		return false
	}
	if c.Country, i, ok = h.text(b, i); !ok {
		return false
	}
	if i, ok = handName(b, i, `,"type":`); !ok {
		return false
	}
	if c.Type, i, ok = h.text(b, i); !ok {
		return false
	}
	if i, ok = handName(b, i, `,"millis":`); !ok {
		return false
	}
	var n int64
	if n, i, ok = handInt(b, i); !ok || int64(int32(n)) != n {
		return false
	}
	c.Millis = int32(n)
	if i, ok = handName(b, i, `,"price":`); !ok {
		return false
	}
	if c.Price, i, ok = handFloat(b, i); !ok {
		return false
	}
	if i, ok = handName(b, i, `,"tags":`); !ok {
		return false
	}
	if c.Tags, i, ok = h.list(b, i); !ok {
		return false
	}
	return i+1 == len(b) && b[i] == '}'
}

// handName is inlined, and its comparison is one of words.
func handName(b []byte, i int, name string) (int, bool) {
	if i < 0 || len(b)-i < len(name) || string(b[i:i+len(name)]) != name {
		return 0, false
	}
	return i + len(name), true
}

func handText(b []byte, i int) ([]byte, int, bool) {
	if i >= len(b) || b[i] != '"' {
		return nil, 0, false
	}
	const one, high = 0x0101010101010101, 0x8080808080808080
	i++
	k := i
	for ; k+8 <= len(b); k += 8 {
		x := binary.LittleEndian.Uint64(b[k:])
		if m := ((x ^ one*'"' - one) | (x ^ one*'\\' - one) | (x - one*' ') | x) & high; m != 0 {
			k += bits.TrailingZeros64(m) >> 3
			return b[i:k], k + 1, b[k] == '"'
		}
	}
	for ; k < len(b); k++ {
		switch c := b[k]; {
		case c == '"':
			return b[i:k], k + 1, true
		case c < ' ' || c == '\\' || c >= 0x80:
			return nil, 0, false
		}
	}
	return nil, 0, false
}

func (h *hand) text(b []byte, i int) (string, int, bool) {
	s, at, ok := handText(b, i)
	if !ok || len(s) == 0 {
		return "", at, ok
	}
	if len(s) > len(h.room) {
		h.room = make([]byte, max(4096, len(s)))
	}
	n := copy(h.room, s)
	t := unsafe.String(&h.room[0], n)
	h.room = h.room[n:]
	return t, at, true
}

func (h *hand) list(b []byte, i int) ([]string, int, bool) {
	if i >= len(b) || b[i] != '[' {
		return nil, 0, false
	}
	if i++; i < len(b) && b[i] == ']' {
		return []string{}, i + 1, true
	}
	start := len(h.tags)
	if cap(h.tags)-start < 8 {
		h.tags, start = make([]string, 0, 64), 0
	}
	for {
		s, at, ok := h.text(b, i)
		if !ok {
			return nil, 0, false
		}
		h.tags = append(h.tags, s)
		if i = at; i >= len(b) {
			return nil, 0, false
		}
		if b[i] == ',' {
			i++
			continue
		}
		return h.tags[start:len(h.tags):len(h.tags)], i + 1, b[i] == ']'
	}
}

func handInt(b []byte, i int) (int64, int, bool) {
	minus := i < len(b) && b[i] == '-'
	if minus {
		i++
	}
	start, n := i, int64(0)
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		n = n*10 + int64(b[i]-'0')
	}
	if minus {
		n = -n
	}
	return n, i, i > start && i-start < 19 && (b[start] != '0' || i == start+1)
}

func handFloat(b []byte, i int) (float64, int, bool) {
	start, n, point := i, int64(0), 0
	for ; i < len(b); i++ {
		if c := b[i] - '0'; c <= 9 {
			n = n*10 + int64(c)
		} else if b[i] == '.' && point == 0 {
			point = i + 1
		} else {
			break
		}
	}
	scale := 0
	if point > 0 {
		scale = i - point
	}
	if i-start > 15 || scale > 4 || i == start || i == point || i < len(b) && (b[i] == '-' || b[i]|0x20 == 'e') {
		for i < len(b) && (b[i]-'0' <= 9 || b[i] == '.' || b[i] == '-' || b[i] == '+' || b[i]|0x20 == 'e') {
			i++
		}
		f, err := strconv.ParseFloat(string(b[start:i]), 64)
		return f, i, err == nil
	}
	return float64(n) / [...]float64{1, 10, 100, 1000, 10000}[scale], i, true
}

func handTime(b []byte, i int) (time.Time, int, bool) {
	s, at, ok := handText(b, i)
	if !ok || len(s) < 20 || s[len(s)-1] != 'Z' {
		return time.Time{}, 0, false
	}
	two := func(k int) int { return int(s[k]-'0')*10 + int(s[k+1]-'0') }
	nanos, scale := 0, 1_000_000_000
	if s[19] == '.' {
		for _, c := range s[20 : len(s)-1] {
			nanos, scale = nanos*10+int(c-'0'), scale/10
		}
	}
	t := time.Date(two(0)*100+two(2), time.Month(two(5)), two(8), two(11), two(14), two(17), nanos*scale, time.UTC)
	return t, at, s[4] == '-' && s[7] == '-' && s[10] == 'T' && s[13] == ':' && s[16] == ':'
}
