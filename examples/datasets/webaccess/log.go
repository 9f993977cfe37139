package webaccess

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
)

// combined is Apache's "combined" log format: host, identity, user, time, request
// line, status, size, referer, agent. Inside quotes Apache escapes quotes, so a
// field ends at the next one that no backslash precedes. Its closing quote may be
// missing at the very end: some clients send agents that long.
var combined = regexp.MustCompile(`^(\S+) \S+ (\S+) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}) (\d+|-) "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"?$`)

// LogCodec reads hits from lines of the raw log. Apache's \xNN escapes stay as they
// are: what the bytes meant, nobody knows any more.
func LogCodec() (codec.Decoder[Hit], error) { return codec.Func(decodeLog)() }

func decodeLog(r *shardlake.Record) (Hit, error) {
	h, err := parse(r.Data)
	if err != nil {
		return Hit{}, shardlake.Reject(err)
	}
	return h, h.check()
}

func parse(line []byte) (h Hit, err error) {
	if !utf8.Valid(line) {
		return h, errors.New("log: the line is not UTF-8")
	}
	m := combined.FindStringSubmatch(string(line))
	if m == nil {
		return h, errors.New("log: the line is not in the combined format")
	}
	request := strings.Split(m[4], " ")
	if len(request) != 3 {
		return h, fmt.Errorf("log: a request line of %d words: want method, path, protocol", len(request))
	}
	h = Hit{IP: m[1], User: dash(m[2]), Method: request[0], Path: request[1], Proto: request[2], Referer: dash(m[7]), Agent: dash(m[8])}
	t, err := time.Parse("02/Jan/2006:15:04:05 -0700", m[3])
	if err != nil {
		return h, fmt.Errorf("log: %w", err)
	}
	h.Time = t.UTC()
	status, err := strconv.ParseInt(m[5], 10, 32)
	if err != nil {
		return h, fmt.Errorf("log: %w", err)
	}
	h.Status = int32(status)
	if m[6] != "-" {
		n, err := strconv.ParseInt(m[6], 10, 64)
		if err != nil {
			return h, fmt.Errorf("log: %w", err)
		}
		h.Bytes = &n
	}
	return h, nil
}

func dash(s string) *string {
	if s == "-" {
		return nil
	}
	return &s
}
