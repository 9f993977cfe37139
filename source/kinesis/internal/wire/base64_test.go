package wire

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"testing"
)

// TestBase64 wants the answers of encoding/base64 for every length, for one wrong
// byte at every place, and for every kind of padding.
func TestBase64(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	check := func(src []byte) {
		t.Helper()
		want, err := base64.StdEncoding.DecodeString(string(src))
		dst := make([]byte, decodedLen(src))
		ok := decodeBase64(dst, src)
		if ok != (err == nil) || ok && !bytes.Equal(dst, want) {
			t.Fatalf("%q: %v %q, encoding/base64 says %v %q", src, ok, dst, err, want)
		}
	}
	odd := []byte("=-_ .%\x00\x7f\x80\xff\"\\AZaz09+/")
	for n := range 100 {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		src := base64.StdEncoding.AppendEncode(nil, data)
		check(src)
		for i := range src {
			check(src[:i])
			was := src[i]
			for _, c := range odd {
				src[i] = c
				check(src)
			}
			src[i] = was
		}
	}
	for _, s := range []string{"", "=", "==", "===", "====", "A===", "AA==", "AB==", "AAA=", "AAB=", "AA=A", "A=AA", "=AAA", "AAAA====", "AA==AA==", "AA==A", "AAAAA"} {
		check([]byte(s))
	}
	for c := range 256 {
		check([]byte{'A', byte(c), 'A', 'A', 'A', 'A', 'A', 'A'})
	}
}

// TestBase64StaysInside wants nothing written beyond the end of what was given.
func TestBase64StaysInside(t *testing.T) {
	for n := range 64 {
		src := base64.StdEncoding.AppendEncode(nil, bytes.Repeat([]byte{'x'}, n))
		room := bytes.Repeat([]byte{'.'}, n+32)
		if !decodeBase64(room[:n:n], src) || !bytes.Equal(room[n:], bytes.Repeat([]byte{'.'}, 32)) {
			t.Fatalf("%d bytes: %q", n, room)
		}
	}
}

func BenchmarkBase64(b *testing.B) {
	src := base64.StdEncoding.AppendEncode(nil, bytes.Repeat([]byte("{\"a\":12}"), 40)[:316])
	dst := make([]byte, 400)
	b.Run("std", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		for b.Loop() {
			if _, err := base64.StdEncoding.Decode(dst, src); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("wire", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		for b.Loop() {
			if !decodeBase64(dst[:316], src) {
				b.Fatal("refused")
			}
		}
	})
}
