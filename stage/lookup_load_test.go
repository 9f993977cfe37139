package stage_test

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
)

// file is a file of text that counts how often it is open.
type file struct {
	io.Reader
	open *int
}

func (f file) Close() error { *f.open--; return nil }

type place struct {
	Code   string `json:"code"`
	People int    `json:"people"`
}

func csvOf(f stage.TableFile) func(context.Context) (map[string]place, error) {
	return f.CSV([]string{"code", "people"}, func(f []string) (string, place, error) {
		n, err := strconv.Atoi(f[1])
		if n < 0 {
			err = shardlake.ErrSkip
		}
		return f[0], place{f[0], n}, err
	})
}

func jsonOf(f stage.TableFile) func(context.Context) (map[string]place, error) {
	return f.JSONLines(func(p place) string { return p.Code })
}

func TestLoadersReadTables(t *testing.T) {
	want := map[string]place{"de": {"de", 84}, "a \"b\"\nc": {"a \"b\"\nc", 3}}
	for name, c := range map[string]struct {
		load func(stage.TableFile) func(context.Context) (map[string]place, error)
		file stage.TableFile
		text string
	}{
		"csv":                  {csvOf, stage.TableFile{}, "people,x,code\n84,,de\n\n3,y,\"a \"\"b\"\"\nc\"\n-1,,none\n"},
		"csv of windows":       {csvOf, stage.TableFile{}, "\ufeffcode,people\r\nde,84\r\n\"a \"\"b\"\"\r\nc\",3"},
		"csv of semicolons":    {csvOf, stage.TableFile{Comma: ';'}, "code;people\nde;84\n\"a \"\"b\"\"\nc\";3\n"},
		"json":                 {jsonOf, stage.TableFile{}, "{\"code\":\"de\",\"people\":84}\n\n{\"people\":3,\"code\":\"a \\\"b\\\"\\nc\"}"},
		"json of windows":      {jsonOf, stage.TableFile{}, "\ufeff{\"code\":\"de\",\"people\":84}\r\n \r\n{\"people\":3,\"code\":\"a \\\"b\\\"\\nc\"}\r\n"},
		"as long as it may be": {csvOf, stage.TableFile{MaxBytes: 34}, "code,people\nde,84\n\"a \"\"b\"\"\nc\",3"},
	} {
		open := 0
		c.file.Open = func(context.Context) (io.ReadCloser, error) {
			open++
			return file{iotest.OneByteReader(strings.NewReader(c.text)), &open}, nil
		}
		got, err := c.load(c.file)(t.Context())
		if err != nil || open != 0 {
			t.Errorf("%s: %v, %d open", name, err, open)
			continue
		}
		check(t, got, want)
	}
}

func TestLoadersNameWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		load func(stage.TableFile) func(context.Context) (map[string]place, error)
		text string
		want string
	}{
		{csvOf, "", "CSV: the file is empty: its first line must name the columns"},
		{csvOf, "code,persons\n", `CSV: line 1: there is no column "people", but ["code" "persons"]`},
		{csvOf, "code,people,code\n", `CSV: line 1: columns 1 and 3 are both named "code"`},
		{csvOf, "code,people\nde,1\nfr\n", "CSV: record on line 3: wrong number of fields"},
		{csvOf, "code,people\nde,\"1\"2\n", "CSV: parse error on line 2, column 6: extraneous or missing \" in quoted-field"},
		{csvOf, "code,people\n\"d\ne\",1\nfr,many\n", `CSV: line 4: code at 4:1, people at 4:4: strconv.Atoi: parsing "many": invalid syntax`},
		{csvOf, "code,people\nde,1\nde,2\n", "CSV: line 3: its key comes twice: de"},
		{csvOf, "code,people\nde,1\nfr,200000000000000000000000\n", "it has more than 40 bytes: raise TableFile.MaxBytes"},
		{jsonOf, "{\"code\":\"de\"}\n{\"code\":}\n", "JSON Lines: line 2: column 9: "},
		{jsonOf, "\n{\"code\":\"de\",\"people\":\"x\"}\n", "JSON Lines: line 2: column 23: "},
		{jsonOf, "{\"code\":\"de\"} {}\n", "JSON Lines: line 1: column 15: "},
		{jsonOf, "{\"code\":\"de\"}\n{\"code\":\"de\"}\n", "JSON Lines: line 2: its key comes twice: de"},
		{jsonOf, "{\"code\":\"de\",\"people\":1}\n{\"code\":\"fr\"                ", "it has more than 40 bytes"},
	} {
		open := 0
		_, err := c.load(stage.TableFile{MaxBytes: 40, Open: func(context.Context) (io.ReadCloser, error) {
			open++
			return file{strings.NewReader(c.text), &open}, nil
		}})(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || open != 0 {
			t.Errorf("%q: got %v (%d open), want %s", c.text, err, open, c.want)
		}
	}
}

// A file that is cut short by an error, or by the end of the load, is no table.
func TestLoadersFailWithTheirFile(t *testing.T) {
	opens := func(r io.Reader, err error) func(context.Context) (io.ReadCloser, error) {
		return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(r), err }
	}
	ended, end := context.WithCancelCause(t.Context())
	end(errAway)
	text := "code,people\nde,84\n"
	for name, err := range map[string]error{
		"open":       failed(csvOf(stage.TableFile{Open: opens(nil, errAway)})(t.Context())),
		"cut":        failed(csvOf(stage.TableFile{Open: opens(io.MultiReader(strings.NewReader(text), iotest.ErrReader(errAway)), nil)})(t.Context())),
		"cut header": failed(csvOf(stage.TableFile{Open: opens(iotest.ErrReader(errAway), nil)})(t.Context())),
		"cut json":   failed(jsonOf(stage.TableFile{Open: opens(io.MultiReader(strings.NewReader("{}\n"), iotest.ErrReader(errAway)), nil)})(t.Context())),
		"ended":      failed(csvOf(stage.TableFile{Open: opens(strings.NewReader(text), nil)})(ended)),
	} {
		if !errors.Is(err, errAway) {
			t.Errorf("%s: %v", name, err)
		}
	}
	open := opens(strings.NewReader(text), nil)
	for name, err := range map[string]error{
		"no open":    failed(csvOf(stage.TableFile{})(t.Context())),
		"limit":      failed(csvOf(stage.TableFile{Open: open, MaxBytes: -1})(t.Context())),
		"no row":     failed(stage.CSV[int, int](open, []string{"code"}, nil)(t.Context())),
		"no columns": failed(stage.CSV(open, nil, func([]string) (int, int, error) { return 0, 0, nil })(t.Context())),
		"no key":     failed(stage.JSONLines[int, int](open, nil)(t.Context())),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func failed[V any](_ V, err error) error { return err }
