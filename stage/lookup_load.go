package stage

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/shardlake/shardlake"
)

// CSV returns a TableConfig.Load that reads text of comma-separated values (RFC
// 4180), whose first line names its columns. open opens a file or an object and is
// called for each load; what it returns is closed. row gets the fields of the named
// columns, in the order of columns, valid until it returns (strings in it may be
// kept), and makes a key and a value of them; ErrSkip leaves a line out.
//
//	stage.CSV(open, []string{"code", "name"}, func(f []string) (string, string, error) { return f[0], f[1], nil })
//
// A missing column, a malformed line, an error of row, a key that comes twice and
// more than 256 MiB are errors that name line and column; see [TableFile] for other limits.
func CSV[K comparable, V any](open func(context.Context) (io.ReadCloser, error), columns []string, row func(fields []string) (K, V, error)) func(context.Context) (map[K]V, error) {
	return TableFile{Open: open}.CSV(columns, row)
}

// JSONLines returns a TableConfig.Load that reads one JSON value of type V in each
// line that is not blank, as encoding/json/v2 has it, and takes its key by key.
// open, keys that come twice and limits are as with [CSV].
func JSONLines[K comparable, V any](open func(context.Context) (io.ReadCloser, error), key func(V) K) func(context.Context) (map[K]V, error) {
	return TableFile{Open: open}.JSONLines(key)
}

// TableFile is a file or object that holds a table. Open must be given.
type TableFile struct {
	// Open opens it for one load. Its context ends with the load; reading stops then.
	Open func(context.Context) (io.ReadCloser, error)
	// MaxBytes bounds what is read, after whatever Open unpacks; 0 means 256 MiB.
	MaxBytes int64
	// Comma separates the fields of a line of CSV; 0 means ','.
	Comma rune
}

// CSV is the function [CSV] with these settings.
func (f TableFile) CSV[K comparable, V any](columns []string, row func(fields []string) (K, V, error)) func(context.Context) (map[K]V, error) {
	return func(ctx context.Context) (map[K]V, error) {
		if row == nil || len(columns) == 0 {
			return nil, errors.New("CSV: columns must not be empty, nor row nil")
		}
		rows := make(map[K]V)
		err := f.read(ctx, "CSV", func(in *bufio.Reader) error {
			r := csv.NewReader(in)
			r.Comma, r.ReuseRecord = cmp.Or(f.Comma, ','), true
			at, err := header(r, columns)
			if err != nil {
				return err
			}
			fields := make([]string, len(columns))
			for {
				line, err := r.Read()
				if err == io.EOF {
					return nil
				} else if err != nil {
					return err // names line and column
				}
				for i, j := range at {
					fields[i] = line[j]
				}
				n, _ := r.FieldPos(0)
				if err := put(rows, n, func() (k K, v V, err error) {
					if k, v, err = row(fields); err != nil && !errors.Is(err, shardlake.ErrSkip) {
						err = fmt.Errorf("%s: %w", places(r, columns, at), err)
					}
					return k, v, err
				}); err != nil {
					return err
				}
			}
		})
		if err != nil {
			return nil, err
		}
		return rows, nil
	}
}

// header reads the first line and finds the columns in it.
func header(r *csv.Reader, columns []string) ([]int, error) {
	names, err := r.Read()
	if err == io.EOF {
		return nil, errors.New("the file is empty: its first line must name the columns")
	} else if err != nil {
		return nil, err
	}
	at := make([]int, len(columns))
	for i, want := range columns {
		at[i] = -1
		for j, name := range names {
			switch {
			case name != want:
			case at[i] >= 0:
				return nil, fmt.Errorf("line 1: columns %d and %d are both named %q", at[i]+1, j+1, want)
			default:
				at[i] = j
			}
		}
		if at[i] < 0 {
			return nil, fmt.Errorf("line 1: there is no column %q, but %q", want, names)
		}
	}
	return at, nil
}

// places tells where in its line each of the columns begins: only row knows which
// of them is wrong.
func places(r *csv.Reader, columns []string, at []int) string {
	all := make([]string, len(at))
	for i, j := range at {
		line, column := r.FieldPos(j)
		all[i] = fmt.Sprintf("%s at %d:%d", columns[i], line, column)
	}
	return strings.Join(all, ", ")
}

// JSONLines is the function [JSONLines] with these settings.
func (f TableFile) JSONLines[K comparable, V any](key func(V) K) func(context.Context) (map[K]V, error) {
	return func(ctx context.Context) (map[K]V, error) {
		if key == nil {
			return nil, errors.New("JSON Lines: key must not be nil")
		}
		rows := make(map[K]V)
		err := f.read(ctx, "JSON Lines", func(in *bufio.Reader) error {
			for n := 1; ; n++ {
				line, err := in.ReadBytes('\n')
				if err != nil && err != io.EOF {
					return fmt.Errorf("line %d: %w", n, err)
				}
				if len(bytes.TrimSpace(line)) > 0 {
					if err := put(rows, n, func() (k K, v V, err error) {
						if err := json.Unmarshal(line, &v); err != nil {
							return k, v, fmt.Errorf("column %d: %w", offset(err)+1, err)
						}
						return key(v), v, nil
					}); err != nil {
						return err
					}
				}
				if err == io.EOF {
					return nil
				}
			}
		})
		if err != nil {
			return nil, err
		}
		return rows, nil
	}
}

// offset is where in a line the JSON is wrong, in bytes.
func offset(err error) int64 {
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		return e.ByteOffset
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return e.ByteOffset
	}
	return 0
}

// put adds what a line holds. Of two rows with one key nobody knows which is meant.
func put[K comparable, V any](rows map[K]V, line int, parse func() (K, V, error)) error {
	k, v, err := parse()
	switch _, twice := rows[k]; {
	case errors.Is(err, shardlake.ErrSkip):
	case err != nil:
		return fmt.Errorf("line %d: %w", line, err)
	case twice:
		return fmt.Errorf("line %d: its key comes twice: %v", line, k)
	default:
		rows[k] = v
	}
	return nil
}

// read opens the file, without the byte order mark that it may begin with, and
// closes it.
func (f TableFile) read(ctx context.Context, what string, parse func(*bufio.Reader) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", what, err)
		}
	}()
	if f.Open == nil {
		return errors.New("TableFile.Open is nil: give a function that opens the file")
	}
	if f.MaxBytes < 0 {
		return fmt.Errorf("TableFile.MaxBytes is %d: want a positive number, or 0 for the default", f.MaxBytes)
	}
	file, err := f.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	limit := cmp.Or(f.MaxBytes, 256<<20)
	in := bufio.NewReaderSize(&boundedReader{ctx, file, limit, limit}, 64<<10)
	if mark, err := in.Peek(3); err == nil && string(mark) == "\ufeff" {
		if _, err := in.Discard(3); err != nil {
			return err
		}
	}
	return parse(in)
}

// boundedReader fails where io.LimitReader would make a file that is too long look
// complete, and at the end of its context.
type boundedReader struct {
	ctx   context.Context
	r     io.Reader
	left  int64
	limit int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left+1)]) // one more byte tells whether there are more
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("it has more than %d bytes: raise TableFile.MaxBytes if it may", b.limit)
	}
	return n, err
}
