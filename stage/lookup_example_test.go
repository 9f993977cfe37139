package stage_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/stagetest"
)

// Orders get the name of their country from a file that is read again every ten
// minutes.
func ExampleLookup() {
	type order struct {
		Country string
		Cents   int
	}
	type named struct {
		Name  string
		Cents int
	}
	open := func(context.Context) (io.ReadCloser, error) { // os.Open, or an object's body
		return io.NopCloser(strings.NewReader("code,name\nNL,Netherlands\nPT,Portugal\n")), nil
	}
	countries, err := stage.NewTable(stage.TableConfig[string, string]{
		Load: stage.CSV(open, []string{"code", "name"}, func(f []string) (string, string, error) {
			return f[0], f[1], nil
		}),
		Refresh: 10 * time.Minute,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	name := stage.Lookup(countries, func(o order) string { return o.Country },
		func(o order, name string, found bool) (named, error) {
			if !found {
				name = "unknown"
			}
			return named{name, o.Cents}, nil
		})
	rows, err := stagetest.Run(name, order{"PT", 100}, order{"XX", 5})
	fmt.Println(rows, err)
	fmt.Println(countries.Status().Rows, "countries, version", countries.Status().Version)
	// Output:
	// [{Portugal 100} {unknown 5}] <nil>
	// 2 countries, version 1
}

// Reference data in JSON Lines, one object in a line. A line that does not fit is
// an error, and so the whole load is.
func ExampleJSONLines() {
	type plan struct {
		ID    int    `json:"id"`
		Title string `json:"title"`
	}
	load := func(text string) (map[int]plan, error) {
		return stage.JSONLines(func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(text)), nil
		}, func(p plan) int { return p.ID })(context.Background())
	}
	plans, err := load("{\"id\":1,\"title\":\"free\"}\n{\"id\":2,\"title\":\"team\"}\n")
	fmt.Println(plans, err)
	_, err = load("{\"id\":1,\"title\":\"free\"}\n{\"id\":\"two\"}\n")
	fmt.Println(err.Error()[:len("JSON Lines: line 2: column 7")])
	// Output:
	// map[1:{1 free} 2:{2 team}] <nil>
	// JSON Lines: line 2: column 7
}
