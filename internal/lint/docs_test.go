package lint_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// TestDocs wants a comment on every package, and on every exported name of
// packages, methods included, those of interfaces too.
func TestDocs(t *testing.T) {
	files, err := tracked()
	if err != nil {
		t.Fatal(err)
	}
	found, err := undocumented(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

// undocumented lists what has no comment in Go files that are no tests.
func undocumented(files []file) ([]string, error) {
	var found []string
	fset := token.NewFileSet()
	packages := make(map[string]bool) // by folder: is there a package comment?
	for _, f := range files {
		if path.Ext(f.path) != ".go" || strings.HasSuffix(f.path, "_test.go") || !f.written() {
			continue
		}
		parsed, err := parser.ParseFile(fset, f.path, f.text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		folder := path.Dir(f.path)
		packages[folder] = packages[folder] || documented(parsed.Doc)
		for _, decl := range parsed.Decls {
			for _, name := range bare(decl) {
				found = append(found, fmt.Sprintf("%s: %s has no comment", fset.Position(name.Pos()), name.Name))
			}
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(packages)) {
		if !packages[folder] {
			found = append(found, folder+": the package has no comment")
		}
	}
	return found, nil
}

// documented tells whether one of the comments says something: directives do not.
func documented(comments ...*ast.CommentGroup) bool {
	return slices.ContainsFunc(comments, func(c *ast.CommentGroup) bool { return strings.TrimSpace(c.Text()) != "" })
}

// bare lists the exported names of a declaration that have no comment.
func bare(decl ast.Decl) (names []*ast.Ident) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && (d.Recv == nil || exportedType(d.Recv.List[0].Type)) && !documented(d.Doc) {
			names = append(names, d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					if !documented(s.Doc, s.Comment, d.Doc) {
						names = append(names, s.Name)
					}
					names = append(names, bareMethods(s.Type)...)
				}
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.IsExported() && !documented(s.Doc, s.Comment, d.Doc) {
						names = append(names, name)
					}
				}
			}
		}
	}
	return names
}

// bareMethods lists the methods of an interface that have no comment.
func bareMethods(of ast.Expr) (names []*ast.Ident) {
	i, ok := of.(*ast.InterfaceType)
	if !ok {
		return nil
	}
	for _, m := range i.Methods.List {
		for _, name := range m.Names {
			if name.IsExported() && !documented(m.Doc, m.Comment) {
				names = append(names, name)
			}
		}
	}
	return names
}

// exportedType tells whether the type of a receiver is exported.
func exportedType(of ast.Expr) bool {
	switch x := of.(type) {
	case *ast.StarExpr:
		return exportedType(x.X)
	case *ast.ParenExpr:
		return exportedType(x.X)
	case *ast.IndexExpr:
		return exportedType(x.X)
	case *ast.IndexListExpr:
		return exportedType(x.X)
	case *ast.Ident:
		return x.IsExported()
	}
	return false
}

func TestUndocumentedIsFound(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string // the names
	}{
		{"a package", "package p\n", []string{"a: the package"}},
		{"a directive is no comment", "//go:build linux\n\npackage p\n", []string{"a: the package"}},
		{"a function", "// Package p is.\npackage p\nfunc F() {}\nfunc g() {}\n", []string{"F"}},
		{"a type and its methods", "// Package p is.\npackage p\ntype T[K any] struct{ Field int }\nfunc (t *T[K]) M() {}\n// N does.\nfunc (t T[K]) N() {}\n", []string{"T", "M"}},
		{"methods of a hidden type", "// Package p is.\npackage p\ntype t struct{}\nfunc (t t) M() {}\n", nil},
		{"a generic method", "// Package p is.\npackage p\n// S is.\ntype S[A any] struct{}\nfunc (s S[A]) Via[B any](f func(A) B) S[B] { return S[B]{} }\n", []string{"Via"}},
		{"an interface", "// Package p is.\npackage p\n// I is.\ntype I interface {\n\tA()\n\t// B does.\n\tB()\n\tC() // does\n\terror\n}\n", []string{"A"}},
		{"constants", "// Package p is.\npackage p\n// All of them.\nconst (\n\tA = iota\n\tB\n)\nconst C = 1\nvar (\n\tD = 1 // is\n\tE = 2\n)\n", []string{"C", "E"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := undocumented([]file{{"a/a.go", []byte(test.text)}, {"a/a_test.go", []byte("not read")}})
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(test.want) {
				t.Fatalf("got %q, want %q", got, test.want)
			}
			for i, want := range test.want {
				if !strings.Contains(got[i], " "+want+" ") && !strings.HasPrefix(got[i], want) {
					t.Errorf("got %q, want %q", got[i], want)
				}
			}
		})
	}
}
