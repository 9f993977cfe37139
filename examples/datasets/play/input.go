package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// record is one record to be put.
type record struct {
	key  string
	data []byte
	bad  string // what is wrong with it, "" for a record of the data set
	file string // that it is, if it is one
}

// readSet reads a file of lines, compressed if its name ends in .gz, in file order.
func readSet(path string, s set) ([]record, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	lines := bytes.Split(bytes.TrimSuffix(data, []byte{'\n'}), []byte{'\n'})
	if s.header {
		lines = lines[1:]
	}
	recs := make([]record, len(lines))
	for i, line := range lines {
		key, err := s.key(line)
		if err != nil {
			return nil, fmt.Errorf("%s: record %d is none of this data set: %w", path, i+1, err)
		}
		recs[i] = record{key: key, data: line}
	}
	return recs, nil
}

func readFile(path string) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var in io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return io.ReadAll(in)
}

const garbageBytes = 300 << 10

// malformed makes n records that are none of the set, from each kind in turn. Some
// are good records damaged in transit.
func malformed(s set, good []record, n int) []record {
	rng := rand.New(rand.NewPCG(3, 5))
	garbage := make([]byte, garbageBytes)
	for i := range garbage {
		garbage[i] = byte(rng.Uint32())
	}
	kinds := []func(line []byte) record{
		func(line []byte) record { return record{bad: "truncated", data: line[:len(line)/3]} },
		func([]byte) record { return record{bad: "empty", data: []byte{}} },
		func(line []byte) record { return record{bad: "invalid UTF-8", data: spoil(line)} },
		func([]byte) record {
			w := s.wrong[0]
			s.wrong = append(s.wrong[1:len(s.wrong):len(s.wrong)], w)
			return record{bad: "wrong", data: []byte(w)}
		},
		func([]byte) record { return record{bad: "garbage", data: garbage} },
		func(line []byte) record {
			return record{bad: "two", data: slices.Concat(line, []byte{'\n'}, line)}
		},
	}
	var bad []record
	for i := range n {
		bad = append(bad, kinds[i%len(kinds)](good[rng.IntN(len(good))].data))
	}
	return bad
}

// spoil puts a byte that is in no UTF-8 text behind the first letter.
func spoil(line []byte) []byte {
	i := 1 + bytes.IndexFunc(line, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' })
	return slices.Concat(line[:i], []byte{0xFF}, line[i:])
}

// readPayloads reads every file of a folder but its manifest and description as
// one malformed record.
func readPayloads(dir string) ([]record, error) {
	var bad []record
	files, err := os.ReadDir(dir)
	for _, f := range files {
		if ext := filepath.Ext(f.Name()); f.Name() == "manifest.json" || ext == ".md" || ext == ".avsc" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		bad = append(bad, record{bad: "payload " + f.Name(), file: f.Name(), data: data})
	}
	return bad, err
}

// mix spreads bad records evenly among good ones, each with the key of the good
// one before it.
func mix(good, bad []record) []record {
	out := make([]record, 0, len(good)+len(bad))
	for i, b := range bad {
		from, to := i*len(good)/len(bad), (i+1)*len(good)/len(bad)
		out = append(out, good[from:to]...)
		b.key = good[max(0, to-1)].key
		out = append(out, b)
	}
	if len(bad) == 0 {
		out = append(out, good...)
	}
	return out
}
