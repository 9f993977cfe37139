package lint_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the top of the repository, seen from this package.
const root = "../.."

// A file is one of the repository's, with its slash-separated path from the root.
type file struct {
	path string
	text []byte
}

// tracked reads the files that git tracks, as they are now; outside of a checkout,
// in an unpacked release, all files that do not lie in hidden folders.
func tracked() ([]file, error) {
	var paths []string
	cmd := exec.Command("git", "ls-files", "-z")
	cmd.Dir = root
	if out, err := cmd.Output(); err == nil {
		paths = strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	} else if paths, err = walk(); err != nil {
		return nil, err
	}
	var files []file
	for _, path := range paths {
		info, err := os.Lstat(filepath.Join(root, path))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue // deleted and not yet committed; a link
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return nil, err
		}
		files = append(files, file{filepath.ToSlash(path), text})
	}
	return files, nil
}

func walk() (paths []string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") && d.Name() != ".ci":
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		rel, err := filepath.Rel(root, path)
		paths = append(paths, rel)
		return err
	})
	return paths, err
}

// written tells whether a person wrote the file: no input or expected output, no
// checksums, nothing binary.
func (f file) written() bool {
	return !slices.Contains(strings.Split(f.path, "/"), "testdata") && !bytes.Contains(f.text, []byte{0}) &&
		!slices.Contains([]string{".sum", ".csv", ".json", ".jsonl", ".log", ".xml"}, filepath.Ext(f.path))
}

// leftover is what must not stay in a file that a person wrote.
type leftover struct {
	what  string
	only  string // suffix of the files that it is looked for in
	found *regexp.Regexp
	fine  *regexp.Regexp // a line that is all the same in order
}

// The expressions are written so that they do not find themselves.
var leftovers = []leftover{
	{what: "a path of somebody's machine", found: regexp.MustCompile(`(^|[^\w.$}/-])/(root|home|work|Users)/`)},
	{what: "unfinished work", found: regexp.MustCompile(`\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b`)},
	{what: "a silenced linter without a reason", only: ".go", found: regexp.MustCompile(`//\s*no[l]int`), fine: regexp.MustCompile(`//no[l]int:[\w,]+ // \S`)},
	{what: "a silenced linter without a reason", only: ".go", found: regexp.MustCompile(`#no[s]ec`), fine: regexp.MustCompile(`#no[s]ec G\d+ -- \S`)},
	{what: "a test that is not run", only: "_test.go", found: regexp.MustCompile(`\b[tbf]\.Skip(f|Now)?\(`)},
}

func (f file) leftovers() (found []string) {
	for i, line := range strings.Split(string(f.text), "\n") {
		for _, l := range leftovers {
			if strings.HasSuffix(f.path, l.only) && l.found.MatchString(line) && (l.fine == nil || !l.fine.MatchString(line)) {
				found = append(found, fmt.Sprintf("%s:%d: %s: %s", f.path, i+1, l.what, strings.TrimSpace(line)))
			}
		}
	}
	return found
}

func TestNothingLeftBehind(t *testing.T) {
	files, err := tracked()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.written() {
			for _, l := range f.leftovers() {
				t.Error(l)
			}
		}
	}
}

// A file has one subject. Beyond 300 lines there is often a second one in it;
// beyond 500 there always is.
func TestFileSizes(t *testing.T) {
	const long, tooLong = 300, 500
	files, err := tracked()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		lines := bytes.Count(f.text, []byte("\n"))
		switch {
		case f.path == "LICENSE" || !f.written():
		case lines > tooLong:
			t.Errorf("%s has %d lines; %d are allowed", f.path, lines, tooLong)
		case lines > long:
			t.Logf("%s has %d lines: is there a second subject in it?", f.path, lines)
		}
	}
}

func TestLeftoversAreFound(t *testing.T) {
	for line, want := range map[string]int{
		`cache := "/` + `home/me/cache"`:        1,
		"see `/" + `work/main/x`:                1,
		`GET https://example.com/` + `home/`:    0,
		`cp -r ../` + `work/lake "$HOME/work/"`: 0,
		`// TO` + `DO: later`:                   1,
		`mktemp -d /tmp/x.XXXXXX`:               0,
		`f() //no` + `lint`:                     1,
		`f() //no` + `lint:errcheck`:            1,
		`f() //no` + `lint:errcheck // why`:     0,
		`h := md5.New() // #no` + `sec`:         1,
		`t.Sk` + `ip("flaky")`:                  1,
		`t.Sk` + `ipNow()`:                      1,
		`it.Sk` + `ip(3)`:                       0,
	} {
		if got := (file{"x_test.go", []byte(line)}).leftovers(); len(got) != want {
			t.Errorf("%s: found %q, want %d", line, got, want)
		}
	}
	if got := (file{"x.md", []byte("t.Sk" + "ip()")}).leftovers(); len(got) != 0 {
		t.Errorf("text about tests: %q", got)
	}
}
