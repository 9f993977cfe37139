package sink

import (
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/schema"
)

// Partition is one level of Hive partitions, "name=value/" in the path of a file.
// Values are escaped as Hive does it, so that any value is one path element and
// readers give it back; null and "" are __HIVE_DEFAULT_PARTITION__. A value whose
// path element would be longer than 255 bytes, the limit of file systems, makes
// its row a dead letter.
type Partition struct {
	name   string
	field  string // column, or "" for event time
	layout string // of the event time
}

// Time partitions by the rows' event time in UTC, in a layout of package time.
func Time(name, layout string) Partition { return Partition{name: name, layout: layout} }

// Day partitions by the date of the rows' event time, name=2006-01-02.
func Day(name string) Partition { return Time(name, time.DateOnly) }

// Hour partitions by the hour of the rows' event time, name=15.
func Hour(name string) Partition { return Time(name, "15") }

// Field partitions by a column of the row: a string, integer, bool or time, or a
// pointer to one. The column stays in the files as well.
func Field(column string) Partition { return Partition{name: column, field: column} }

// As returns the partition under another name. Engines that refuse a table whose
// partition is called like a column of its files need one.
func (p Partition) As(name string) Partition { p.name = name; return p }

func (p Partition) check() error {
	ok := p.name != "" && len(p.name) <= 64
	for _, r := range p.name {
		ok = ok && (r == '_' || r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)))
	}
	if !ok {
		return fmt.Errorf("partition %q: want a name of at most 64 ASCII letters, digits and underscores", p.name)
	}
	if p.field == "" && p.layout == "" {
		return fmt.Errorf("partition %q: the layout of its time is empty", p.name)
	}
	return nil
}

// level computes one path element for rows of one lane. It remembers the last
// value: most rows are in the partition of the row before.
type level struct {
	Partition
	get    schema.Accessor
	minute shardlake.Instant
	value  string
	elem   string
}

// levels compiles partitions for rows of type T.
func levels[T any](parts []Partition) ([]level, error) {
	if len(parts) == 0 {
		return nil, nil
	}
	s, err := schema.Of(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	ls := make([]level, len(parts))
	for i, p := range parts {
		ls[i] = level{Partition: p, minute: shardlake.Never}
		if p.field == "" {
			continue
		}
		if ls[i].get, err = s.Field(p.field); err != nil {
			return nil, fmt.Errorf("partition %q: %w", p.name, err)
		}
	}
	return ls, nil
}

const (
	nullPartition = "__HIVE_DEFAULT_PARTITION__"
	maxElement    = 255
)

const usPerMinute = 60_000_000

func (l *level) of(row any, at shardlake.Instant) (string, error) {
	if l.field == "" {
		// Layouts finer than a minute are not remembered.
		m := at / usPerMinute
		if at%usPerMinute < 0 {
			m-- // rounded down, also before 1970
		}
		if m == l.minute && l.elem != "" && !strings.Contains(l.layout, "05") {
			return l.elem, nil
		}
		l.minute = m
		return l.set(at.Time().Format(l.layout), false)
	}
	text, null, err := l.get(row)
	if err != nil {
		return "", fmt.Errorf("partition %s: %w", l.name, err)
	}
	if text == l.value && !null && l.elem != "" && text != "" {
		return l.elem, nil
	}
	return l.set(text, null)
}

func (l *level) set(text string, null bool) (string, error) {
	elem := l.name + "=" + escape(text)
	if null || text == "" {
		elem = l.name + "=" + nullPartition
	}
	if len(elem) > maxElement {
		return "", fmt.Errorf("partition %s: its value of %d bytes does not fit a path element of %d bytes", l.name, len(text), maxElement)
	}
	l.value, l.elem = text, elem
	if null {
		l.value = ""
	}
	return elem, nil
}

// escape is Hive's FileUtils.escapePathName, with invisible characters added. A
// value that reads like the null partition is escaped too, so no two values
// share a path.
func escape(s string) string {
	if s == nullPartition {
		return "%5F" + s[1:]
	}
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] < utf8.RuneSelf && !special(rune(s[i]))
	}
	if plain {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if !special(r) {
			b.WriteRune(r)
			continue
		}
		for _, c := range []byte(string(r)) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func special(r rune) bool {
	switch r {
	case '"', '#', '%', '\'', '*', '/', ':', '=', '?', '\\', '{', '[', ']', '^':
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
}
