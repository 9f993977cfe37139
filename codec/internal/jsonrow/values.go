package jsonrow

import (
	"encoding"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/json/jsontext"
	"math/bits"
	"reflect"
	"time"
	"unsafe"
)

// durationType has no default form in encoding/json/v2: it is refused there.
var durationType = reflect.TypeFor[time.Duration]()

// memberOp is the op of a field: that of its type, or another one if the option
// "string" wants its number in quotes.
func (p *Program) memberOp(m member) op {
	if !m.text {
		return p.compile(m.typ)
	}
	t := m.typ
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
	default:
		return giveUp // a mistake, or a rule of its own
	}
	if has(t, methods...) || t == durationType {
		return giveUp
	}
	return p.quotedOp(m.typ)
}

// quotedOp reads a number in quotes, behind any pointers.
func (p *Program) quotedOp(t reflect.Type) op {
	if t.Kind() == reflect.Pointer {
		return p.pointerTo(t.Elem(), p.quotedOp(t.Elem()))
	}
	inner := p.compile(t)
	return func(d *Decoder, b []byte, i int, q unsafe.Pointer) int {
		if b[i] != '"' {
			return null(b, i)
		}
		if i++; i >= len(b) || b[i] == 'n' {
			return -1
		}
		if i = inner(d, b, i, q); i < 0 || i >= len(b) || b[i] != '"' {
			return -1
		}
		return i + 1
	}
}

func boolOp(_ *Decoder, b []byte, i int, p unsafe.Pointer) int {
	switch b[i] {
	case 't':
		*(*bool)(p) = true
		return literal(b, i, "true")
	case 'f':
		return literal(b, i, "false")
	}
	return null(b, i)
}

func integerOp(t reflect.Type) op {
	bits := uint(t.Bits())
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(_ *Decoder, b []byte, i int, p unsafe.Pointer) int {
			if b[i] == 'n' {
				return null(b, i)
			}
			v, end := whole(b, i, bits)
			store(p, bits, uint64(v))
			return end
		}
	}
	return func(_ *Decoder, b []byte, i int, p unsafe.Pointer) int {
		if b[i] == 'n' {
			return null(b, i)
		}
		v, end := natural(b, i)
		if v > 1<<bits-1 {
			return -1
		}
		store(p, bits, v)
		return end
	}
}

func store(p unsafe.Pointer, bits uint, v uint64) {
	switch bits {
	case 8:
		*(*uint8)(p) = uint8(v)
	case 16:
		*(*uint16)(p) = uint16(v)
	case 32:
		*(*uint32)(p) = uint32(v)
	default:
		*(*uint64)(p) = v
	}
}

func float64Op(_ *Decoder, b []byte, i int, p unsafe.Pointer) int {
	if b[i] == 'n' {
		return null(b, i)
	}
	v, end := float(b, i, 64)
	*(*float64)(p) = v
	return end
}

func float32Op(_ *Decoder, b []byte, i int, p unsafe.Pointer) int {
	if b[i] == 'n' {
		return null(b, i)
	}
	v, end := float(b, i, 32)
	*(*float32)(p) = float32(v)
	return end
}

func (p *Program) newString() int {
	p.strings++
	return p.strings - 1
}

func (p *Program) stringOp() op {
	place := p.newString()
	return func(d *Decoder, b []byte, i int, q unsafe.Pointer) int {
		if b[i] != '"' {
			return null(b, i)
		}
		return d.text(b, i, (*string)(q), place)
	}
}

// text decodes the string at i. It is compared with the last one of its place:
// fields with few values are copied seldom.
func (d *Decoder) text(b []byte, i int, p *string, place int) int {
	// As the function text does, here for speed.
	i++
	for at := i; at < len(b) && len(b) >= 8; at += 8 {
		var x uint64
		if over := at + 8 - len(b); over <= 0 {
			x = binary.LittleEndian.Uint64(b[at:])
		} else { // the end: zeros behind it are special
			x = binary.LittleEndian.Uint64(b[len(b)-8:]) >> (8 * over)
		}
		m := special(x)
		if m == 0 {
			continue
		}
		if at += bits.TrailingZeros64(m) >> 3; at >= len(b) || b[at] != '"' {
			break
		}
		if last := &d.last[place]; last.rest > 0 {
			last.rest--
			*p = d.keep(b[i:at])
		} else {
			*p = d.same(last, b[i:at])
		}
		return at + 1
	}
	s, next := d.string(b, i-1)
	*p = s
	return next
}

func (d *Decoder) unescaped(s []byte) string {
	d.plain = unescape(d.plain[:0], s)
	t := d.keep(d.plain)
	if cap(d.plain) > large {
		d.plain = nil
	}
	return t
}

// string reads any string at i, to be kept.
func (d *Decoder) string(b []byte, i int) (s string, next int) {
	end, escaped := text(b, i+1)
	switch {
	case end < 0:
		return "", -1
	case escaped:
		return d.unescaped(b[i+1 : end]), end + 1
	}
	return d.keep(b[i+1 : end]), end + 1
}

// numberOp keeps all digits, and takes them in quotes too, as json.Number does.
func numberOp(d *Decoder, b []byte, i int, p unsafe.Pointer) int {
	start := i
	switch b[i] {
	case 'n':
		return null(b, i)
	case '"':
		start++
	}
	end := number(b, start)
	if end < 0 {
		return -1
	}
	*(*json.Number)(p) = json.Number(d.keep(b[start:end]))
	if start > i {
		return literal(b, end, `"`)
	}
	return end
}

// rawOp keeps the value as it stands, null too.
func rawOp(d *Decoder, b []byte, i int, p unsafe.Pointer) int {
	end := d.skip(b, i)
	if end >= 0 {
		*(*jsontext.Value)(p) = append(jsontext.Value(nil), b[i:end]...)
	}
	return end
}

// bytesOp decodes base64 with its padding and nothing in between (RFC 4648).
func bytesOp(_ *Decoder, b []byte, i int, p unsafe.Pointer) int {
	if b[i] != '"' {
		return null(b, i)
	}
	end, escaped := text(b, i+1)
	if end < 0 || escaped {
		return -1
	}
	s := b[i+1 : end]
	out := make([]byte, base64.StdEncoding.DecodedLen(len(s)))
	n, err := base64.StdEncoding.Decode(out, s)
	if err != nil || base64.StdEncoding.EncodedLen(n) != len(s) {
		return -1 // the library passes over line breaks
	}
	*(*[]byte)(p) = out[:n:n]
	return end + 1
}

// generalOp leaves values of a type to encoding/json/v2.
func (p *Program) generalOp(t reflect.Type) op {
	general := p.general
	return func(d *Decoder, b []byte, i int, q unsafe.Pointer) int {
		end := d.skip(b, i)
		if end < 0 || general(b[i:end:end], reflect.NewAt(t, q).Interface()) != nil {
			return -1
		}
		return end
	}
}

// jsonMethodOp is for types that decode their own JSON, null too.
func jsonMethodOp(t reflect.Type) op {
	return func(d *Decoder, b []byte, i int, q unsafe.Pointer) int {
		end := d.skip(b, i)
		if end < 0 {
			return -1
		}
		v, ok := reflect.NewAt(t, q).Interface().(json.Unmarshaler)
		if !ok || v.UnmarshalJSON(b[i:end:end]) != nil {
			return -1
		}
		return end
	}
}

// textMethodOp is for types that decode the text of a string.
func (p *Program) textMethodOp(t reflect.Type) op {
	return func(d *Decoder, b []byte, i int, q unsafe.Pointer) int {
		if b[i] != '"' {
			return null(b, i)
		}
		end, escaped := text(b, i+1)
		if end < 0 {
			return -1
		}
		s := b[i+1 : end : end]
		if escaped {
			s = unescape(nil, s)
		}
		v, ok := reflect.NewAt(t, q).Interface().(encoding.TextUnmarshaler)
		if !ok || v.UnmarshalText(s) != nil {
			return -1
		}
		return end + 1
	}
}
