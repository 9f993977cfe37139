package jsonrow

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A member is a field of a struct, or of one embedded in it, that an object's
// member fills.
type member struct {
	name   string
	tagged bool  // the name is that of the tag
	text   bool  // the option "string": a number in quotes
	index  []int // of the field, through embedded structs
	id     int   // in the order in which fields are found
	typ    reflect.Type
}

// members lists the fields that a struct's object fills, in the order in which they
// are declared, by the rules of encoding/json/v2. It gives up on tags with other
// options than omitempty, omitzero and string, and on what those rules call a
// mistake.
func members(root reflect.Type) (out []member, ok bool) {
	type level struct {
		typ      reflect.Type
		index    []int
		children bool
	}
	queue := []level{{root, nil, true}}
	seen := map[reflect.Type]bool{root: true}
	var all []member
	for ; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		names := make(map[string]bool)
		for i := range at.typ.NumField() {
			f := at.typ.Field(i)
			m, ignored, ok := parseTag(f)
			if !ok {
				return nil, false
			}
			if ignored {
				continue
			}
			m.index, m.typ, m.id = append(slices.Clip(at.index), i), f.Type, len(all)
			inner := f.Type
			if inner.Kind() == reflect.Pointer && inner.Name() == "" {
				inner = inner.Elem()
			}
			switch {
			case !f.Anonymous || m.tagged:
				if !f.IsExported() || names[m.name] {
					return nil, false
				}
				names[m.name] = true
				all = append(all, m)
			case inner.Kind() != reflect.Struct || m.text || has(inner, methods...):
				return nil, false
			default:
				if at.children {
					queue = append(queue, level{inner, m.index, !seen[inner]})
				}
				seen[inner] = true
			}
		}
	}
	// Of members with one name the one that lies highest has it; of those that lie
	// equally high the tagged one. If that leaves several, none has it.
	slices.SortStableFunc(all, func(a, b member) int {
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(len(a.index), len(b.index)), untagged(a)-untagged(b))
	})
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].name == all[0].name {
			n++
		}
		if n == 1 || len(all[0].index) != len(all[1].index) || all[0].tagged != all[1].tagged {
			out = append(out, all[0])
		}
		all = all[n:]
	}
	slices.SortFunc(out, func(a, b member) int { return slices.Compare(a.index, b.index) })
	return out, true
}

func untagged(m member) int {
	if m.tagged {
		return 0
	}
	return 1
}

// parseTag reads the simple ones among the tags that encoding/json/v2 reads.
func parseTag(f reflect.StructField) (m member, ignored, ok bool) {
	tag, has := f.Tag.Lookup("json")
	if tag == "-" {
		return m, true, true
	}
	if !f.IsExported() && !f.Anonymous {
		return m, true, !has // a tag there is a mistake
	}
	if strings.ContainsAny(tag, "\\'\"`") || strings.ContainsFunc(tag, unicode.IsControl) || !utf8.ValidString(tag) {
		return m, false, false
	}
	name, rest, more := strings.Cut(tag, ",")
	m.name = f.Name
	if name != "" {
		m.name, m.tagged = name, true
	}
	seen := make(map[string]bool)
	for more {
		var option string
		option, rest, more = strings.Cut(rest, ",")
		word := option != "" && strings.IndexFunc(option, func(r rune) bool {
			return r != '_' && !unicode.IsLetter(r) && !unicode.IsNumber(r)
		}) < 0
		if !word || unicode.IsNumber([]rune(option)[0]) || seen[option] {
			return m, false, false
		}
		seen[option] = true
		switch strings.ReplaceAll(strings.ToLower(option), "_", "") {
		case "omitempty", "omitzero":
		case "string":
			m.text = true
		case "case", "embed", "format":
			return m, false, false
		}
	}
	return m, false, true
}
