package lint_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// The rules of who imports what. Imports point down only: vocabulary, contracts,
// engine, adapters, programs. Every package of the standard library is free to
// all. "x/..." means x and all below it.

// layers says which packages may be imported, not counting those of the standard
// library. The first line that means a package binds it, and not its tests.
var layers = []struct {
	rule string
	from []string
	only []string
}{
	{"the vocabulary stands on the standard library alone", []string{"."}, nil},
	{"contracts stand on the vocabulary", []string{"./stage", "./stage/window", "./source", "./sink", "./codec"}, []string{".", "./stage/window", "./internal/schema", "./internal/spread", "./internal/own", "./codec/internal/..."}},
	{"folds are fields of rows, and know what rows are as columns", []string{"./stage/fold"}, []string{".", "./internal/schema"}},
	{"sketches are libraries behind fields of rows", []string{"./stage/sketch"}, []string{"github.com/axiomhq/hyperloglog", "github.com/DataDog/sketches-go/..."}},
	{"internal packages stand on the vocabulary", []string{"./internal/..."}, []string{".", "./internal/..."}},
	{"the lease contract stands on the vocabulary", []string{"./pipeline/lease"}, []string{"."}},
	{"the engine stands on the contracts and x/sync", []string{"./pipeline"}, []string{".", "./stage", "./stage/window", "./source", "./sink", "./codec", "./pipeline/lease", "./pipeline/internal/...", "./internal/...", "golang.org/x/sync/..."}},
	{"what the engine decides by is pure", []string{"./pipeline/internal/..."}, []string{".", "./source", "./pipeline/lease"}},
	{"the advice is pure", []string{"./autoscale"}, []string{"."}},
	{"a codec stands on its contract", []string{"./codec/..."}, []string{".", "./codec", "./codec/internal/...", "./codec/registry", "./internal/...", "github.com/klauspost/..."}},
	{"an adapter of a source stands on its contract", []string{"./source/..."}, []string{".", "./source/...", "./codec", "./internal/...", "github.com/aws/...", "github.com/segmentio/asm/..."}},
	{"an adapter of a sink stands on its contract", []string{"./sink/..."}, []string{".", "./sink/...", "./internal/...", "github.com/...", "golang.org/..."}},
	{"a lease store stands on its contract", []string{"./pipeline/lease/..."}, []string{".", "./pipeline/lease/...", "./internal/...", "github.com/aws/..."}},
}

// unreachable says what must not be imported even by way of other packages: a
// program that uses only these packages does not link a byte of it.
var unreachable = []struct {
	rule  string
	from  []string
	never []string
}{
	{
		"contracts and engine link no SDK and no file format",
		[]string{".", "./stage/...", "./source", "./sink", "./codec/...", "./pipeline", "./pipeline/lease", "./pipeline/internal/...", "./pipeline/console", "./pipeline/pipelinetest", "./internal/..."},
		[]string{"github.com/aws/...", "github.com/parquet-go/...", "github.com/hamba/..."},
	},
}

// homes says which packages, with their tests, may import a foreign library, so
// that each can be replaced in one place. A library without a home is a mistake.
var homes = []home{
	{"github.com/aws/...", []string{"./source/...", "./sink/...", "./pipeline/lease/dynamo/...", "./autoscale/..."}},
	{"github.com/parquet-go/...", []string{"./sink/parquet/..."}},
	{"github.com/hamba/avro/...", []string{"./sink/avro/..."}}, // archived upstream
	{"github.com/klauspost/compress/...", []string{"./sink/parquet/...", "./sink/avro/...", "./codec/zstd/..."}},
	{"github.com/segmentio/asm/...", []string{"./source/kinesis/internal/wire"}},
	{"github.com/golang/snappy/...", []string{"./sink/avro/..."}},
	{"golang.org/x/sync/...", []string{"./pipeline/..."}},
	{"github.com/axiomhq/hyperloglog/...", []string{"./stage/sketch"}},
	{"github.com/DataDog/sketches-go/...", []string{"./stage/sketch"}},
}

type home struct {
	library string
	at      []string
}

// adapters are the folders whose direct children do not import each other, nor the
// children of another of these folders.
var adapters = []string{"./source/", "./sink/", "./autoscale/", "./pipeline/lease/"}

// adapter names the child of such a folder in which a package lies: "./sink/s3"
// for "./sink/s3/s3test", and "" for what is no adapter.
func adapter(name string) string {
	for _, folder := range adapters {
		if rest, ok := strings.CutPrefix(name, folder); ok {
			child, _, _ := strings.Cut(rest, "/")
			return folder + child
		}
	}
	return ""
}

// violations names, for each import that breaks a rule, both packages and the rule.
func violations(g graph) []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(g)) {
		if p := g[name]; ours(name) {
			found = append(found, layered(p)...)
			found = append(found, reaching(g, p)...)
			found = append(found, atHome(p)...)
			found = append(found, apart(p)...)
			found = append(found, onlyInTests(p)...)
		}
	}
	return found
}

func layered(p pkg) (found []string) {
	for _, l := range layers {
		if !matches(p.name, l.from...) {
			continue
		}
		for _, to := range p.imports {
			if (ours(to) || foreign(to)) && !matches(to, l.only...) {
				found = append(found, fmt.Sprintf("%s imports %s: %s", p.name, to, l.rule))
			}
		}
		break
	}
	return found
}

func reaching(g graph, p pkg) (found []string) {
	for _, u := range unreachable {
		if chain := g.path(p.name, u.never); matches(p.name, u.from...) && chain != nil {
			found = append(found, fmt.Sprintf("%s reaches %s by way of %s: %s", p.name, chain[len(chain)-1], strings.Join(chain, " -> "), u.rule))
		}
	}
	return found
}

func atHome(p pkg) (found []string) {
	for _, to := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(p.imports, p.tests)))) {
		if !foreign(to) {
			continue
		}
		at := slices.IndexFunc(homes, func(h home) bool { return matches(to, h.library) })
		switch {
		case at < 0:
			found = append(found, fmt.Sprintf("%s imports %s: a foreign library needs a home", p.name, to))
		case !matches(p.name, homes[at].at...):
			found = append(found, fmt.Sprintf("%s imports %s: its home is %s", p.name, to, strings.Join(homes[at].at, ", ")))
		}
	}
	return found
}

func apart(p pkg) (found []string) {
	for _, to := range p.imports {
		if a, b := adapter(p.name), adapter(to); a != "" && b != "" && a != b {
			found = append(found, fmt.Sprintf("%s imports %s: adapters do not know each other", p.name, to))
		}
	}
	return found
}

// served says which packages for tests are part of a program all the same:
// "shardlake local" serves Kinesis and S3 to whoever tries out a consumer, which is
// what those two are. The library itself never links them.
var served = map[string][]string{
	"./cmd/shardlake": {"./source/kinesis/kinesistest", "./sink/s3/s3test"},
}

func onlyInTests(p pkg) (found []string) {
	for _, to := range p.imports {
		if forTests(to) && !forTests(p.name) && !slices.Contains(served[p.name], to) {
			found = append(found, fmt.Sprintf("%s imports %s: packages for tests are imported by tests, by each other, and by other modules", p.name, to))
		}
	}
	return found
}

func TestImports(t *testing.T) {
	g, err := load("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".", "./stage", "./pipeline", "./source/kinesis", "./sink/s3", "golang.org/x/sync/errgroup"} {
		if _, ok := g[name]; !ok {
			t.Fatalf("go list does not know %s: the rules would hold for nothing", name)
		}
	}
	for _, v := range violations(g) {
		t.Error(v)
	}
}

// Each rule can be broken.
func TestImportRulesBite(t *testing.T) {
	const sdk, s3 = "github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/service/s3"
	for _, test := range []struct {
		name string
		pkgs []pkg
		want []string
	}{
		{"the vocabulary imports a contract", []pkg{{name: ".", imports: []string{"fmt", "./stage"}}},
			[]string{". imports ./stage: the vocabulary stands"}},
		{"a contract imports the engine", []pkg{{name: "./sink", imports: []string{".", "./internal/schema", "./pipeline"}}},
			[]string{"./sink imports ./pipeline: contracts stand"}},
		{"a contract imports another", []pkg{{name: "./stage", imports: []string{"./sink"}}},
			[]string{"./stage imports ./sink: contracts stand"}},
		{"the engine imports an adapter", []pkg{{name: "./pipeline", imports: []string{"./sink/dir"}}},
			[]string{"./pipeline imports ./sink/dir: the engine stands"}},
		{"the engine imports an SDK", []pkg{{name: "./pipeline", imports: []string{sdk}}, {name: sdk}},
			[]string{
				"./pipeline imports " + sdk + ": the engine stands",
				"./pipeline reaches " + sdk + " by way of ./pipeline -> " + sdk + ": contracts and engine link no SDK",
				"./pipeline imports " + sdk + ": its home is",
			}},
		{"the engine reaches an SDK through another library", []pkg{
			{name: "./pipeline", imports: []string{"golang.org/x/sync/errgroup"}},
			{name: "golang.org/x/sync/errgroup", imports: []string{"context", sdk}}, {name: sdk},
		}, []string{"./pipeline reaches " + sdk + " by way of ./pipeline -> golang.org/x/sync/errgroup -> " + sdk}},
		{"a codec imports a stage", []pkg{{name: "./codec/avro", imports: []string{".", "./codec", "./codec/registry", "./stage"}}},
			[]string{"./codec/avro imports ./stage: a codec stands on its contract"}},
		{"a file format is used elsewhere", []pkg{{name: "./cmd/shardlake", imports: []string{"github.com/parquet-go/parquet-go"}}},
			[]string{"./cmd/shardlake imports github.com/parquet-go/parquet-go: its home is ./sink/parquet/..."}},
		{"a test uses a library that lives elsewhere", []pkg{{name: "./sink/dir", tests: []string{"github.com/hamba/avro/v2/ocf"}}},
			[]string{"./sink/dir imports github.com/hamba/avro/v2/ocf: its home is ./sink/avro/..."}},
		{"a new library", []pkg{{name: "./sink/orc", imports: []string{"github.com/someone/orc"}}},
			[]string{"./sink/orc imports github.com/someone/orc: a foreign library needs a home"}},
		{"siblings", []pkg{{name: "./sink/s3", imports: []string{"./sink", "./sink/dir", s3}}},
			[]string{"./sink/s3 imports ./sink/dir: adapters do not know each other"}},
		{"a source and a sink", []pkg{{name: "./source/s3", imports: []string{"./sink/s3"}}},
			[]string{"./source/s3 imports ./sink/s3: an adapter of a source", "./source/s3 imports ./sink/s3: adapters do not know"}},
		{"product code imports a test package", []pkg{{name: "./source/kinesis", imports: []string{"./source/kinesis/kinesistest"}}},
			[]string{"./source/kinesis imports ./source/kinesis/kinesistest: packages for tests"}},
		{"a program serves what it has no reason to", []pkg{{name: "./cmd/shardlake", imports: []string{"./sink/s3/s3test", "./sink/sinktest"}}},
			[]string{"./cmd/shardlake imports ./sink/sinktest: packages for tests"}},
		{"a lease store imports the engine", []pkg{{name: "./pipeline/lease/dynamo", imports: []string{"./pipeline", sdk}}},
			[]string{"./pipeline/lease/dynamo imports ./pipeline: a lease store stands"}},
		{"all is well", []pkg{
			{name: "."},
			{name: "./stage", imports: []string{".", "./stage/window", "net/http", "vendor/golang.org/x/net/http"}, tests: []string{"./stage/stagetest"}},
			{name: "./sink", imports: []string{".", "./internal/schema"}},
			{name: "./pipeline", imports: []string{".", "./sink", "./stage", "./pipeline/lease", "golang.org/x/sync/errgroup"}, tests: []string{"./sink/sinktest", "./sink/dir"}},
			{name: "./sink/s3", imports: []string{"./sink", sdk, s3}, tests: []string{"./sink/s3/s3test", "./sink/sinktest"}},
			{name: "./sink/s3/s3test", imports: []string{"./sink/s3"}},
			{name: "./cmd/shardlake", imports: []string{"./pipeline", "./sink/s3", "./sink/dir", "./source/kinesis"}},
			{name: "golang.org/x/sync/errgroup"},
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := make(graph)
			for _, p := range test.pkgs {
				g[p.name] = p
			}
			got := violations(g)
			for i := range max(len(got), len(test.want)) {
				if i >= len(got) || i >= len(test.want) || !strings.HasPrefix(got[i], test.want[i]) {
					t.Fatalf("got:\n%s\nwant lines that begin:\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
				}
			}
		})
	}
}
