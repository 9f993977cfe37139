package wire

import "github.com/segmentio/asm/base64"

// Decoding base64 was the largest part of reading an answer: encoding/base64 takes
// some 200 ns for a record of 312 bytes, tables that give four characters at a time
// their places take 130, and vector instructions (AVX2 on amd64, NEON on arm64; what
// has neither goes to encoding/base64) take 45 (BenchmarkBase64).

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

// decodeBase64 writes what src stands for to dst, which has decodedLen(src) bytes. It
// accepts what encoding/base64.StdEncoding does, but for newlines inside: full groups
// of four, padded, with any bits behind the last byte.
func decodeBase64(dst, src []byte) bool {
	if len(src)%4 != 0 {
		return false
	}
	// A newline that is skipped leaves fewer bytes than the length promises.
	n, err := base64.StdEncoding.Decode(dst, src)
	return err == nil && n == len(dst)
}
