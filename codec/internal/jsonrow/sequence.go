package jsonrow

import "unsafe"

// Space returns the index of the first byte from i on that is no white space of
// JSON, or len(b).
func Space(b []byte, i int) int { return spaces(b, i) }

// First makes the row at p, as Decode does, of the document at the beginning of b,
// whatever follows it. It returns the index behind the document, or -1 if it makes
// no row; then the row holds anything. A number ends where its digits do: whether
// what follows may stand there is for the caller to say.
func (d *Decoder) First(b []byte, p unsafe.Pointer) (end int) {
	if d.program.root == nil {
		return -1
	}
	i := space(b, 0)
	if i >= len(b) || b[i] == 'n' {
		return -1 // nothing, or a bare null
	}
	d.depth = 0
	end = d.program.root(d, b, i, p)
	if size := end - i; end < 0 || d.used > 0 || size > large {
		d.tidy(end >= 0, size)
	}
	return end
}
