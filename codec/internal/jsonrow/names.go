package jsonrow

// few is how many names of one object are compared one by one.
const few = 16

// A nameSet holds the names of one object that have no field, each of which may
// come once. Few are compared one by one, on the decoder's stack of names; more
// lie in a map, whose hash nobody can foresee: a million names stay linear.
type nameSet struct {
	base int // of its names on the stack
	many map[string]struct{}
}

func (d *Decoder) newNames() nameSet { return nameSet{base: len(d.names)} }

// add tells whether a name is new to the set. The name stays as long as the
// document.
func (d *Decoder) add(s *nameSet, name string) bool {
	if s.many != nil {
		n := len(s.many)
		s.many[name] = struct{}{}
		return len(s.many) > n
	}
	for _, other := range d.names[s.base:] {
		if other == name {
			return false
		}
	}
	d.names = append(d.names, name)
	d.used = max(d.used, len(d.names))
	if len(d.names)-s.base > few {
		if s.many = d.spare; s.many == nil {
			s.many = make(map[string]struct{}, 4*few)
		}
		d.spare = nil
		for _, name := range d.names[s.base:] {
			s.many[name] = struct{}{}
		}
	}
	return true
}

// forget ends a set.
func (d *Decoder) forget(s *nameSet) {
	d.names = d.names[:s.base]
	if s.many != nil && len(s.many) <= maxSpare {
		clear(s.many)
		d.spare = s.many
	}
}

// name reads the name at i, unescaped, and passes over its colon. It shares the
// document's memory if it can.
func (d *Decoder) name(b []byte, i int) (name string, next int) {
	if b[i] != '"' {
		return "", -1
	}
	end, escaped := text(b, i+1)
	if end < 0 {
		return "", -1
	}
	if escaped {
		name = string(unescape(nil, b[i+1:end]))
	} else {
		name = view(b[i+1 : end])
	}
	return name, colon(b, end+1)
}

// skip is the index behind the value at i, which is checked like any other.
func (d *Decoder) skip(b []byte, i int) int {
	switch b[i] {
	case '"':
		if end, _ := text(b, i+1); end >= 0 {
			return end + 1
		}
		return -1
	case '{':
		return d.skipObject(b, i)
	case '[':
		return d.skipArray(b, i)
	case 't':
		return literal(b, i, "true")
	case 'f':
		return literal(b, i, "false")
	case 'n':
		return null(b, i)
	}
	return number(b, i)
}

func (d *Decoder) skipObject(b []byte, i int) int {
	i, done := d.open(b, i, '}')
	names := d.newNames()
	for !done {
		if i < 0 {
			return -1
		}
		var name string
		if name, i = d.name(b, i); i < 0 || !d.add(&names, name) {
			return -1
		}
		if i = d.skip(b, i); i < 0 {
			return -1
		}
		i, done = comma(b, i, '}')
	}
	d.forget(&names)
	d.depth--
	return i
}

func (d *Decoder) skipArray(b []byte, i int) int {
	i, done := d.open(b, i, ']')
	for !done {
		if i < 0 {
			return -1
		}
		if i = d.skip(b, i); i < 0 {
			return -1
		}
		i, done = comma(b, i, ']')
	}
	d.depth--
	return i
}

// open passes over the byte that begins an object or array: the index of its first
// name or value, or done and the index behind its end. Whoever calls it takes one
// from the depth at the end.
func (d *Decoder) open(b []byte, i int, end byte) (next int, done bool) {
	if d.depth++; d.depth > MaxDepth {
		return -1, false
	}
	if i = space(b, i+1); i >= len(b) {
		return -1, false
	}
	if b[i] == end {
		return i + 1, true
	}
	return i, false
}
