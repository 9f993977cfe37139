package lint_test

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// A snippet is a fenced Go block of a Markdown file.
type snippet struct {
	where string // file and line
	path  string // of the file
	text  string
}

func snippets(files []file) (found []snippet) {
	for _, f := range files {
		if path.Ext(f.path) != ".md" || !f.written() {
			continue
		}
		_, blocks := split(string(f.text))
		for _, b := range blocks {
			if b.language == "go" {
				found = append(found, snippet{fmt.Sprintf("%s:%d", f.path, b.line), f.path, b.text})
			}
		}
	}
	return found
}

// whole tells whether the snippet is a Go file; otherwise it is a piece of one.
func (s snippet) whole() bool { return strings.HasPrefix(s.text, "package ") }

// parses tells whether a piece is Go: statements or declarations.
func (s snippet) parses() error {
	_, err := parser.ParseFile(token.NewFileSet(), s.where, "package p; func _() {\n"+s.text+"\n}", parser.SkipObjectResolution)
	if err == nil {
		return nil
	}
	_, err = parser.ParseFile(token.NewFileSet(), s.where, "package p;"+s.text, parser.SkipObjectResolution)
	return err
}

// build compiles a whole snippet as a package of the module that its file
// belongs to, without writing into the tree.
func (s snippet) build(t *testing.T) error {
	top, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	if first, _, _ := strings.Cut(s.path, "/"); first == "examples" || first == "benchmarks" {
		top = filepath.Join(top, first)
	}
	source := filepath.Join(t.TempDir(), "snippet.go")
	if err := os.WriteFile(source, []byte(s.text), 0o600); err != nil {
		return err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(top, "snippet", "main.go"): source}})
	if err != nil {
		return err
	}
	list := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", os.DevNull, "-overlay", list, "./snippet")
	cmd.Dir = top
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func TestSnippets(t *testing.T) {
	files, err := tracked()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range snippets(files) {
		check := func(*testing.T) error { return s.parses() }
		if s.whole() {
			check = s.build
		}
		if err := check(t); err != nil {
			t.Errorf("%s: %v", s.where, err)
		}
	}
}

// A newcomer reads the first program of the README before anything else.
func TestReadmeProgramIsShort(t *testing.T) {
	const most = 40
	files, err := tracked()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range snippets(files) {
		if s.path == "README.md" && strings.HasPrefix(s.text, "package main\n") {
			if n := strings.Count(s.text, "\n"); n > most {
				t.Errorf("%s: the program has %d lines; %d are allowed", s.where, n, most)
			}
			return
		}
	}
	t.Error("README.md shows no program")
}

func TestBadSnippetsAreFound(t *testing.T) {
	for text, ok := range map[string]bool{
		"```go\npackage main\n\nimport \"example.com/none\"\n\nfunc main() { none.F() }\n```":                                             false,
		"```go\npackage main\n\nimport \"" + module + "/stage\"\n\nfunc main() { _ = stage.Filter(func(int) bool { return true }) }\n```": true,
		"```go\npackage main\n\nfunc main() { var unused int }\n```":                                                                      false,
	} {
		found := snippets([]file{{"README.md", []byte(text)}})
		if len(found) != 1 {
			t.Fatalf("%s: %d snippets", text, len(found))
		}
		if err := found[0].build(t); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, ok := range map[string]bool{
		"p.Read(src).Via(stage.Map(f))":           true,
		"func f[T any](t T) T { return t }":       true,
		"func (s S[A]) Via[B any]() S[B] { ... }": false,
		"x := [": false,
	} {
		if err := (snippet{text: text}).parses(); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}
