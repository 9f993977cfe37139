// Package datasetstest runs the pipelines of package datasets in tests, over rows
// in memory and a lake in a temporary folder.
package datasetstest

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hamba/avro/v2/ocf"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/examples/datasets"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink/dir"
	"github.com/shardlake/shardlake/source"
)

// Decode reads rows from records, all of which must be good.
func Decode[T any](t *testing.T, c func() (codec.Decoder[T], error), records ...string) []T {
	t.Helper()
	rows := make([]T, len(records))
	for i, r := range records {
		var err error
		if rows[i], err = decode(t, c, r); err != nil {
			t.Fatalf("%s: %v", r, err)
		}
	}
	return rows
}

func decode[T any](t *testing.T, c func() (codec.Decoder[T], error), record string) (T, error) {
	t.Helper()
	d, err := c()
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]T, 1)
	_, err = d.Decode(t.Context(), []shardlake.Record{{Pos: shardlake.Position{Seq: "1"}, Data: []byte(record)}}, rows)
	return rows[0], err
}

// Refuses asserts that each record is answered with shardlake.Reject: it must
// become a dead letter, and not stop the lane.
func Refuses[T any](t *testing.T, c func() (codec.Decoder[T], error), records ...string) {
	t.Helper()
	for _, r := range records {
		v, err := decode(t, c, r)
		switch {
		case err == nil:
			t.Errorf("%q was taken as %+v", r, v)
		case !strings.HasPrefix(err.Error(), "rejected: "):
			t.Errorf("%q would stop the lane: %v", r, err)
		}
	}
}

// Run runs a pipeline over rows and returns the folder of its lake.
func Run[T any](t *testing.T, build func(*pipeline.Pipeline, source.Source[T], datasets.Lake), when func(T) time.Time, rows ...T) string {
	t.Helper()
	root := t.TempDir()
	p := pipeline.New(pipeline.Config{Application: "test"})
	build(p, source.Values(rows...).At(when), dir.Lake(root))
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return root
}

// Equal asserts that the Avro files of a folder hold the wanted rows, as JSON with
// sorted members: times in RFC 3339, decimals as text.
func Equal(t *testing.T, lake, folder string, want ...string) {
	t.Helper()
	got := rows(t, filepath.Join(lake, folder))
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s holds\n%s\nwant\n%s", folder, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Contains asserts that a folder's Avro files hold n rows, and that each of the
// given pieces of JSON is in one of them.
func Contains(t *testing.T, lake, folder string, n int, pieces ...string) {
	t.Helper()
	got := rows(t, filepath.Join(lake, folder))
	if len(got) != n {
		t.Errorf("%s holds %d rows, want %d", folder, len(got), n)
	}
	for _, p := range pieces {
		if !slices.ContainsFunc(got, func(row string) bool { return strings.Contains(row, p) }) {
			t.Errorf("%s holds\n%s\nand nowhere\n%s", folder, strings.Join(got, "\n"), p)
		}
	}
}

// Same asserts that two lakes hold the same rows in a folder, of Avro files.
func Same(t *testing.T, folder, a, b string) {
	t.Helper()
	Equal(t, a, folder, rows(t, filepath.Join(b, folder))...)
}

// Folders lists the partitions of a folder that hold files, sorted.
func Folders(t *testing.T, lake, folder string) (found []string) {
	t.Helper()
	root := filepath.Join(lake, folder)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if rel = filepath.ToSlash(rel); !slices.Contains(found, rel) {
			found = append(found, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

func rows(t *testing.T, folder string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		lines, err := read(path)
		out = append(out, lines...)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return out
}

func read(path string) (lines []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	d, err := ocf.NewDecoder(f)
	if err != nil {
		return nil, err
	}
	for d.HasNext() {
		var row any
		if err := d.Decode(&row); err != nil {
			return nil, err
		}
		b, err := json.Marshal(plain(row))
		if err != nil {
			return nil, err
		}
		lines = append(lines, string(b))
	}
	return lines, d.Error()
}

// plain makes decimals text, and takes off the type that the reader puts around a
// nullable decimal, struct or time.
func plain(v any) any {
	switch v := v.(type) {
	case *big.Rat:
		text := v.FloatString(9)
		return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k, w := range v {
			if len(v) == 1 && slices.Contains([]string{"bytes.decimal", "long.timestamp-micros", "long.timestamp-millis", "array", "map"}, k) {
				return plain(w)
			}
			v[k] = plain(w)
		}
	}
	return v
}
