package lint_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// module is the path of the library, without which the rules name its packages.
const module = "github.com/shardlake/shardlake"

// A pkg is a package and what it imports. Packages of the library are named by
// their folder, as on a command line: ".", "./sink/s3". All others are named by
// their import path.
type pkg struct {
	name    string
	imports []string // of the package itself
	tests   []string // of its tests
}

// A graph holds the packages of the library and all that they depend on, by name.
type graph map[string]pkg

// load asks the go command for the packages of the library's module.
func load(root string) (graph, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root
	var failed bytes.Buffer
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, failed.Bytes())
	}
	g := make(graph)
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Name                   string
			Imports, TestImports, XTestImports []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return g, nil
		} else if err != nil {
			return nil, fmt.Errorf("output of go list: %w", err)
		}
		g[short(p.ImportPath)] = pkg{short(p.ImportPath), names(p.Imports), names(slices.Concat(p.TestImports, p.XTestImports))}
	}
}

func names(paths []string) []string {
	var out []string
	for _, p := range paths {
		out = append(out, short(p))
	}
	return out
}

func short(path string) string {
	if path == module || strings.HasPrefix(path, module+"/") {
		return "." + strings.TrimPrefix(path, module)
	}
	return path
}

// ours tells whether a package is the library's.
func ours(name string) bool { return strings.HasPrefix(name, ".") }

// foreign tells whether a package is somebody else's, and not Go's: its path
// begins with a host name.
func foreign(name string) bool {
	host, _, _ := strings.Cut(name, "/")
	return !ours(name) && strings.Contains(host, ".")
}

// forTests tells whether a package is there for tests: sinktest, s3test, ...
func forTests(name string) bool { return ours(name) && strings.HasSuffix(name, "test") }

// matches tells whether a pattern means a package: by its name, or by "/..." with
// all that is below it.
func matches(name string, patterns ...string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		above, deep := strings.CutSuffix(pattern, "/...")
		return name == above || deep && strings.HasPrefix(name, above+"/")
	})
}

// path finds a way by imports from a package to one that is meant by the
// patterns, as a chain of names; nil if there is none.
func (g graph) path(from string, to []string) []string {
	reached := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at != from && matches(at, to...) {
			chain := []string{at}
			for at != from {
				at = reached[at]
				chain = append(chain, at)
			}
			slices.Reverse(chain)
			return chain
		}
		for _, next := range g[at].imports {
			if _, ok := reached[next]; !ok {
				reached[next] = at
				queue = append(queue, next)
			}
		}
	}
	return nil
}
