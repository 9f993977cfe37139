package schema

import (
	"reflect"
	"strings"
	"unicode"
)

// tag is what a struct field's tags say.
type tag struct {
	name    string // empty if no tag gives one
	options []string
	skip    bool
}

func parseTag(sf reflect.StructField) tag {
	text, ok := sf.Tag.Lookup("lake")
	j, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
	if text == "-" || !ok && sf.Tag.Get("json") == "-" {
		return tag{skip: true}
	}
	parts := splitOptions(text)
	t := tag{name: parts[0], options: parts[1:]}
	if t.name == "" && sf.Tag.Get("json") != "-" {
		t.name = j
	}
	return t
}

// splitOptions cuts at commas outside of parentheses.
func splitOptions(s string) []string {
	var parts []string
	depth, from := 0, 0
	for i, c := range s {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth <= 0:
			parts = append(parts, strings.TrimSpace(s[from:i]))
			from = i + 1
		}
	}
	return append(parts, strings.TrimSpace(s[from:]))
}

// options are those of one field. Each is taken by the part of the type that it
// is about; what nobody took is a mistake.
type options struct {
	given []string
	taken map[string]bool
}

func newOptions(given []string) *options { return &options{given, map[string]bool{}} }

func (o *options) has(name string) bool {
	for _, g := range o.given {
		if g == name {
			o.taken[g] = true
			return true
		}
	}
	return false
}

// decimal returns the option decimal(p,s), or "".
func (o *options) decimal() string {
	for _, g := range o.given {
		if strings.HasPrefix(g, "decimal") {
			o.taken[g] = true
			return g
		}
	}
	return ""
}

func (o *options) left() (names []string) {
	for _, g := range o.given {
		if !o.taken[g] {
			names = append(names, g)
		}
	}
	return names
}

// snake turns PageURLs into page_urls and UserID into user_id.
func snake(s string) string {
	r := []rune(s)
	var b strings.Builder
	for i, c := range r {
		if unicode.IsUpper(c) && i > 0 && r[i-1] != '_' {
			begins := i+1 < len(r) && unicode.IsLower(r[i+1])
			if i+2 == len(r) && r[i+1] == 's' { // plural of an initialism
				begins = false
			}
			if !unicode.IsUpper(r[i-1]) || begins {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}
