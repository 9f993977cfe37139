package wire

import "encoding/binary"

// Decoding base64 is the largest part of reading an answer. encoding/base64 looks
// eight characters up in one table and shifts each into its place. Four tables of
// shifted values, sixteen characters a turn and one test for all of them take six
// tenths of its time (BenchmarkBase64).

// wrong marks what is not in the alphabet; values have 24 bits.
const wrong = 1 << 31

// digits are the values of the standard alphabet (RFC 4648, section 4), shifted to
// each of the four places in a group. It is written here only.
var digits = func() (t [4][256]uint32) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range t {
		for c := range t[i] {
			t[i][c] = wrong
		}
		for v := range len(alphabet) {
			t[i][alphabet[v]] = uint32(v) << (18 - 6*i)
		}
	}
	return t
}()

// decodedLen is the length of what decodeBase64 writes for src, provided that src is
// base64 at all.
func decodedLen(src []byte) int {
	n := len(src) / 4 * 3
	if len(src) >= 4 && src[len(src)-1] == '=' {
		n--
		if src[len(src)-2] == '=' {
			n--
		}
	}
	return n
}

// decodeBase64 writes what src stands for to the start of dst, which has at least
// decodedLen(src) bytes; it may scribble over what follows in dst. It accepts what
// encoding/base64.StdEncoding does, but for newlines inside: full groups of four,
// padded, with any bits behind the last byte.
func decodeBase64(dst, src []byte) bool {
	if len(src)%4 != 0 {
		return false
	}
	t0, t1, t2, t3 := &digits[0], &digits[1], &digits[2], &digits[3]
	for len(src) > 16 && len(dst) >= 16 {
		x, y := binary.LittleEndian.Uint64(src), binary.LittleEndian.Uint64(src[8:])
		a := t0[byte(x)] | t1[byte(x>>8)] | t2[byte(x>>16)] | t3[byte(x>>24)]
		b := t0[byte(x>>32)] | t1[byte(x>>40)] | t2[byte(x>>48)] | t3[byte(x>>56)]
		c := t0[byte(y)] | t1[byte(y>>8)] | t2[byte(y>>16)] | t3[byte(y>>24)]
		d := t0[byte(y>>32)] | t1[byte(y>>40)] | t2[byte(y>>48)] | t3[byte(y>>56)]
		if (a|b|c|d)&wrong != 0 {
			return false
		}
		binary.BigEndian.PutUint64(dst, uint64(a)<<40|uint64(b)<<16)
		binary.BigEndian.PutUint64(dst[6:], uint64(c)<<40|uint64(d)<<16)
		src, dst = src[16:], dst[12:]
	}
	for len(src) > 4 {
		v := t0[src[0]] | t1[src[1]] | t2[src[2]] | t3[src[3]]
		if v&wrong != 0 {
			return false
		}
		dst[0], dst[1], dst[2] = byte(v>>16), byte(v>>8), byte(v)
		src, dst = src[4:], dst[3:]
	}
	if len(src) == 0 {
		return true
	}
	v := t0[src[0]] | t1[src[1]]
	n := decodedLen(src)
	if n > 1 {
		v |= t2[src[2]]
	}
	if n > 2 {
		v |= t3[src[3]]
	}
	if v&wrong != 0 {
		return false
	}
	for i := range n {
		dst[i] = byte(v >> (16 - 8*i))
	}
	return true
}
