package jsonrow

import (
	"reflect"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

const (
	// chunk is how many bytes of strings are allocated at once: little enough that
	// a short string which is kept holds little else.
	chunk = 4 << 10
	// long strings have memory of their own.
	long = chunk / 8
	// repeated is the length up to which a string is kept to compare the same
	// field's next one with.
	repeated = 64
	// slabSize is about how many bytes of a type are allocated at once for
	// pointers and slices.
	slabSize = 1 << 10
	// maxSpare bounds what is kept for the next document, in elements.
	maxSpare = 1 << 10
	// large documents leave nothing behind.
	large = 64 << 10
)

// keep copies text to where it stays.
func (d *Decoder) keep(s []byte) string {
	from, n := d.filled, len(s)
	if n > len(d.chunk)-from {
		if n > long {
			return string(s)
		}
		d.chunk, from = make([]byte, chunk), 0
	}
	// Later calls write behind these bytes, never to them.
	to := d.chunk[from : from+n]
	d.filled = from + n
	copy(to, s)
	return view(to)
}

// A lastString is what a place read before. One that does not repeat itself is
// given a rest from comparing.
type lastString struct {
	text         string
	misses, rest uint8
}

const (
	tolerated = 8   // misses in a row
	resting   = 248 // strings
)

// same is s as a string that stays, the last one if it is equal.
func (d *Decoder) same(l *lastString, s []byte) string {
	if n := len(s); n == len(l.text) && n > 0 && l.text[n-1] == s[n-1] && l.text == string(s) {
		l.misses = 0
		return l.text
	}
	t := d.keep(s)
	if l.misses++; l.misses > tolerated {
		l.misses, l.rest = 0, resting
	}
	if len(s) <= repeated {
		l.text = t
	}
	return t
}

// unescape appends the text of a checked string. A surrogate without its other
// half becomes U+FFFD.
func unescape(to, s []byte) []byte {
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			start := i
			for i++; i < len(s) && s[i] != '\\'; i++ {
			}
			to = append(to, s[start:i]...)
			continue
		}
		c := s[i+1]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r, _ := hex4(s[i:]) // checked before
			i += 6
			if utf16.IsSurrogate(r) {
				second, ok := hex4(s[i:])
				if r = utf16.DecodeRune(r, second); ok && r != utf8.RuneError {
					i += 6
				} else {
					r = utf8.RuneError
				}
			}
			to = utf8.AppendRune(to, r)
			continue
		}
		to = append(to, c)
		i += 2
	}
	return to
}

// A slab is memory for elements of one type, handed out from its beginning.
type slab struct {
	base  unsafe.Pointer // nil if n is 0
	at, n int
}

// A slabType says what the slabs of one place in the program hold.
type slabType struct {
	slice reflect.Type // of the elements
	size  uintptr      // of one, in bytes
	n     int          // elements in one slab
	index int          // in the decoder
}

func (p *Program) newSlab(elem reflect.Type) slabType {
	s := slabType{reflect.SliceOf(elem), elem.Size(), slabSize / int(max(elem.Size(), 1)), p.slabs}
	s.n = max(s.n, 1)
	p.slabs++
	return s
}

// make allocates a slab of n zero elements.
func (s *slabType) make(n int) slab {
	return slab{base: reflect.MakeSlice(s.slice, n, n).UnsafePointer(), n: n}
}

// one is a place for one element, zero and nobody else's.
func (s *slabType) one(d *Decoder) unsafe.Pointer {
	m := &d.slabs[s.index]
	if m.at == m.n {
		*m = s.make(s.n)
	}
	p := unsafe.Add(m.base, uintptr(m.at)*s.size)
	m.at++
	return p
}

// A header is a slice as Go lays it out, with a pointer that the garbage collector
// sees.
type header struct {
	data     unsafe.Pointer
	len, cap int
}

// copy moves the first k elements between slabs with what the garbage collector
// wants to know.
func (s *slabType) copy(to, from unsafe.Pointer, k int) {
	t, f := header{to, k, k}, header{from, k, k}
	reflect.Copy(reflect.NewAt(s.slice, unsafe.Pointer(&t)).Elem(), reflect.NewAt(s.slice, unsafe.Pointer(&f)).Elem())
}
