package fold_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake/stage/fold"
)

// peak is a fold of a user's own.
type peak struct{ Height int }

func (p *peak) Merge(other peak) { p.Height = max(p.Height, other.Height) }

type keyed struct {
	Page   string
	Start  time.Time
	Tags   []string
	Parent *string
	Views  fold.Count
	Peak   peak
	Least  *fold.Min[int]
	By     struct {
		Country string
		Views   fold.Count
	}
	shared
}

// shared is embedded: its fields are fields of the row.
type shared struct {
	Region string
	Bytes  fold.Sum
}

func sample() keyed {
	parent := "p"
	k := keyed{Page: "/", Start: time.Unix(60, 0), Tags: []string{"a"}, Parent: &parent, Views: 1, Peak: peak{3}, shared: shared{"eu", 5}}
	k.By.Country, k.By.Views = "NL", 2
	return k
}

func TestMergeByFields(t *testing.T) {
	a, b := sample(), sample()
	b.Start = b.Start.UTC() // the same instant, as JSON brings it back
	b.Least = new(fold.Min[int])
	b.Least.Add(9)
	b.Peak.Height = 7
	fold.Merge(&a, b)
	fold.Merge(&a, sample())
	if a.Views != 3 || a.Peak.Height != 7 || a.By.Views != 6 || a.Bytes != 15 || *a.Least.Value != 9 {
		t.Fatalf("%+v", a)
	}
	a.Least.Add(1)
	if *b.Least.Value != 9 {
		t.Fatal("the rows share a pointer")
	}
}

// Rows that differ in their key are not merged, not even in part.
func TestMergeRefusesAnotherKey(t *testing.T) {
	for field, change := range map[string]func(*keyed){
		"Page":       func(k *keyed) { k.Page = "/other" },
		"Start":      func(k *keyed) { k.Start = k.Start.Add(time.Second) },
		"Tags":       func(k *keyed) { k.Tags = nil },
		"Parent":     func(k *keyed) { k.Parent = nil },
		"By.Country": func(k *keyed) { k.By.Country = "DE" },
		"Region":     func(k *keyed) { k.Region = "us" },
	} {
		t.Run(field, func(t *testing.T) {
			a, b := sample(), sample()
			change(&b)
			got := panicOf(func() { fold.Merge(&a, b) })
			if !strings.Contains(got, field) || !strings.Contains(got, "keyed") || !strings.Contains(got, "part of their key") {
				t.Error(got)
			}
			if a.Views != 1 || a.Bytes != 5 {
				t.Errorf("half merged: %+v", a)
			}
		})
	}
}

func panicOf(f func()) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	f()
	return ""
}

// Types whose rows cannot be merged are known before there are rows.
func TestCheck(t *testing.T) {
	type recursive struct {
		N    fold.Count
		Next *struct{ Inner []any }
	}
	type loop struct {
		N    fold.Count
		Next *loop
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{fold.Check[keyed](), ""},
		{fold.Check[recursive](), ""},
		{fold.Check[all](), ""},
		{fold.Check[int](), "use a struct"},
		{fold.Check[struct{ A int }](), "no field is a fold"},
		{fold.Check[struct{ fold.Count }](), "embedded"},
		{fold.Check[struct {
			N fold.Count
			b int
		}](), "field b is not exported"},
		{fold.Check[struct{ M map[string]fold.Count }](), "field M: folds behind a map"},
		{fold.Check[struct{ M []struct{ N fold.Count } }](), "field M: folds behind a []"},
		{fold.Check[struct{ P *struct{ N fold.Count } }](), "field P: folds behind a *"},
		{fold.Check[loop](), "field Next"},
		{fold.Check[struct {
			A int `fold:"sum"`
			N fold.Count
		}](), `there is only "-"`},
	} {
		if got := fmt.Sprint(test.err); test.want == "" && test.err != nil || !strings.Contains(got, test.want) {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
	type bad struct{ A int }
	if got := panicOf(func() { fold.Merge(&bad{1}, bad{1}) }); !strings.Contains(got, "no field is a fold") {
		t.Error(got)
	}
}

// The span of a session is written when it is known.
func TestMergeLeavesWhatIsTagged(t *testing.T) {
	type session struct {
		User  string
		Start time.Time `fold:"-"`
		N     fold.Count
	}
	a, b := session{"u", time.Unix(1, 0), 1}, session{"u", time.Unix(2, 0), 1}
	fold.Merge(&a, b)
	if a.N != 2 || !a.Start.Equal(time.Unix(1, 0)) {
		t.Fatal(a)
	}
}

func BenchmarkMerge(b *testing.B) {
	x, y := sample(), sample()
	b.ReportAllocs()
	for b.Loop() {
		fold.Merge(&x, y)
	}
}

func BenchmarkFloatSum(b *testing.B) {
	var s fold.FloatSum
	b.ReportAllocs()
	for b.Loop() {
		s.Add(12.34)
	}
}
