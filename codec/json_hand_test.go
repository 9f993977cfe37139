package codec_test

import (
	"bytes"
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

// hand decodes clicks as one writes it by hand, or generates it, for this type: a
// switch over names, one scan, strings copied into chunks. It does without what
// JSON has to do besides: it knows no ignored members, no escapes, no text but
// ASCII, no second order of slow paths.
type hand struct {
	room []byte
	tags []string
}

func (h *hand) decode(b []byte, c *click) bool {
	*c = click{}
	i := handSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return false
	}
	i++
	var seen uint
	for {
		i = handSpace(b, i)
		name, at, ok := handText(b, i)
		if !ok {
			return false
		}
		if i = handSpace(b, at); i >= len(b) || b[i] != ':' {
			return false
		}
		i = handSpace(b, i+1)
		bit := uint(0)
		switch string(name) {
		case "id":
			bit = 1 << 0
			c.ID, i, ok = handInt(b, i)
		case "time":
			bit = 1 << 1
			c.Time, i, ok = handTime(b, i)
		case "user":
			bit = 1 << 2
			c.User, i, ok = h.text(b, i)
		case "session":
			bit = 1 << 3
			c.Session, i, ok = h.text(b, i)
		case "url":
			bit = 1 << 4
			c.URL, i, ok = h.text(b, i)
		case "referer":
			bit = 1 << 5
			c.Referer, i, ok = h.text(b, i)
		case "agent":
			bit = 1 << 6
			c.Agent, i, ok = h.text(b, i)
		case "country":
			bit = 1 << 7
			c.Country, i, ok = h.text(b, i)
		case "type":
			bit = 1 << 8
			c.Type, i, ok = h.text(b, i)
		case "millis":
			bit = 1 << 9
			var n int64
			n, i, ok = handInt(b, i)
			c.Millis = int32(n)
			ok = ok && int64(c.Millis) == n
		case "price":
			bit = 1 << 10
			c.Price, i, ok = handFloat(b, i)
		case "tags":
			bit = 1 << 11
			c.Tags, i, ok = h.list(b, i)
		default:
			return false
		}
		if !ok || seen&bit != 0 {
			return false
		}
		seen |= bit
		if i = handSpace(b, i); i >= len(b) {
			return false
		}
		if b[i] == ',' {
			i++
			continue
		}
		return b[i] == '}' && handSpace(b, i+1) == len(b)
	}
}

func handSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

func handText(b []byte, i int) ([]byte, int, bool) {
	if i >= len(b) || b[i] != '"' {
		return nil, 0, false
	}
	i++
	for k := i; k < len(b); k++ {
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
	if i = handSpace(b, i+1); i < len(b) && b[i] == ']' {
		return []string{}, i + 1, true
	}
	start := len(h.tags)
	if cap(h.tags)-start < 8 {
		h.tags, start = make([]string, 0, 64), 0
	}
	for {
		s, at, ok := h.text(b, handSpace(b, i))
		if !ok {
			return nil, 0, false
		}
		h.tags = append(h.tags, s)
		if i = handSpace(b, at); i >= len(b) {
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
	start := i
	for i < len(b) && (b[i]-'0' <= 9 || b[i] == '.' || b[i] == '-' || b[i] == '+' || b[i]|0x20 == 'e') {
		i++
	}
	if whole, fraction, ok := bytes.Cut(b[start:i], []byte(".")); ok && len(fraction) <= 4 && len(whole) <= 9 {
		a, n, ok1 := handInt(whole, 0)
		f, m, ok2 := handInt(append([]byte{'1'}, fraction...), 0)
		if ok1 && ok2 && n == len(whole) && m == len(fraction)+1 && whole[0] != '-' {
			scale := [...]int64{1, 10, 100, 1000, 10000}[len(fraction)]
			return float64(a*scale+f-scale) / float64(scale), i, true
		}
	}
	f, err := strconv.ParseFloat(string(b[start:i]), 64)
	return f, i, err == nil
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
