package lineage_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/internal/lineage"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source"
)

// own is a row of ours, in a short form: "unread", "open", "pending", "done" or
// "held", and the children that an ended one names.
func own(lane, state string, parents string, children ...string) lease.Row {
	r := lease.Row{Lane: lane, Source: "arn", Inc: "life", Parents: strings.Fields(parents), Begin: 7, Watermark: shardlake.Never}
	for _, l := range graphA().Lanes {
		if l.ID == lane {
			r.Range = l.Range
		}
	}
	switch state {
	case "unread":
	case "held":
		r.Hold = "its row was lost"
	default:
		r.Fence, r.Number, r.Pos = 1, 1, shardlake.Position{Seq: "4711"}
	}
	if state == "pending" {
		r.Pending = []shardlake.Pending{{Kind: "dir"}}
	}
	if r.Ended = state == "pending" || state == "done"; r.Ended {
		r.Children = children
	}
	return r
}

// without is graph A after some of its shards were trimmed.
func without(trimmed string) source.Listing {
	l := graphA()
	l.Lanes = slices.DeleteFunc(l.Lanes, func(lane source.Lane) bool { return slices.Contains(strings.Fields(trimmed), lane.ID) })
	return l
}

func TestPlan(t *testing.T) {
	// Beside the lanes that a case is about.
	four, five := own("4", "open", ""), own("5", "open", "")
	for _, test := range []struct {
		name                                       string
		listing                                    source.Listing
		rows                                       []lease.Row
		create, ready, waiting, held, gone, delete string
		says                                       string // the reason that is held or warned of
	}{
		{name: "the first run", listing: graphA(), create: "0 1 2 3 4 5 6 7 8 9 10"},
		{name: "the first run, after a worker died in it", listing: graphA(), rows: []lease.Row{own("0", "unread", ""), own("6", "unread", "0 1")},
			create: "1 2 3 4 5 7 8 9 10", ready: "0", waiting: "6"},
		{name: "the first run, some are trimmed", listing: without("0 1 2 3 6 7"), create: "4 5 8 9 10"},
		{name: "a split that nobody has seen", listing: without("0 1 2 3 6 7"), rows: []lease.Row{four, five, own("8", "open", "")},
			create: "9 10", ready: "4 5 8"},
		{name: "one child was made, then the worker died", listing: without("0 1 2 3 6 7"), rows: []lease.Row{four, five, own("8", "open", ""), own("9", "unread", "5")},
			create: "10", ready: "4 5 8", waiting: "9"},
		{name: "a merge, one parent is done", listing: without("0 1 2 3 5"), rows: []lease.Row{four, own("9", "open", ""), own("10", "open", ""), own("6", "done", "", "8"), own("7", "open", "")},
			create: "8", ready: "10 4 7 9"},
		{name: "a merge, one parent is not visible yet", listing: without("0 1 2 3 5"), rows: []lease.Row{four, own("9", "open", ""), own("10", "open", ""), own("6", "done", "", "8"), own("7", "pending", "", "8"), own("8", "unread", "6 7")},
			ready: "7 10 4 9", waiting: "8"},
		{name: "a merge, both parents are done", listing: without("0 1 2 3 5"), rows: []lease.Row{four, own("9", "open", ""), own("10", "open", ""), own("6", "done", "", "8"), own("7", "done", "", "8"), own("8", "unread", "6 7")},
			ready: "10 4 8 9"},
		{name: "the row of a child is lost before its parent is done", listing: without("0 1 2 3 6 7"), rows: []lease.Row{four, own("8", "open", ""), own("5", "pending", "", "10", "9"), own("9", "unread", "5")},
			create: "10", ready: "5 4 8", waiting: "9"},
		{name: "the row of a child is lost afterwards", listing: without("0 1 2 3 6 7"), rows: []lease.Row{four, own("8", "open", ""), own("5", "done", "", "10", "9"), own("9", "open", "5")},
			create: "10", ready: "4 8 9", held: "10", says: "names it as a child"},
		{name: "the row of a root is lost", listing: without("0 1 2 3 6 7"), rows: []lease.Row{five, own("8", "open", ""), own("9", "unread", "5"), own("10", "unread", "5")},
			create: "4", ready: "5 8", waiting: "9 10", held: "4", says: "read the stream before"},
		{name: "the row of a parent is lost", listing: without("0 1 2 3 6 7"), rows: []lease.Row{four, own("8", "open", ""), own("9", "unread", "5"), own("10", "unread", "5")},
			create: "5", ready: "4 8", waiting: "9 10", held: "5", says: "shardlake row 5"},
		{name: "the rows of parent and child are lost", listing: without("0 1 2 3 6 7"), rows: []lease.Row{four, own("8", "open", ""), own("9", "unread", "5")},
			create: "5 10", ready: "4 8", waiting: "9", held: "5 10", says: "its parent 5"},
		{name: "the tombstone is lost, both children have begun", listing: without("0 1 2 3 6 7"), rows: []lease.Row{four, own("8", "open", ""), own("9", "open", "5"), own("10", "open", "5")},
			ready: "10 4 8 9"},
		{name: "the tombstone is lost, one child has begun", listing: without("0 1 2 3 6 7"), rows: []lease.Row{four, own("8", "open", ""), own("9", "open", "5"), own("10", "unread", "5")},
			create: "5", ready: "4 8 9", waiting: "10", held: "5", says: "10 has not taken over"},
		{name: "the tombstone is lost and the shard is gone", listing: without("0 1 2 3 5 6 7"), rows: []lease.Row{four, own("8", "open", ""), own("9", "open", "5"), own("10", "unread", "5")},
			ready: "4 8 9", held: "10", says: "the row of 5"},
		{name: "a held lane does not hold a child that has begun", listing: without("0 1 2 3 6 7"), rows: []lease.Row{four, own("8", "open", ""), own("5", "held", ""), own("9", "open", "5"), own("10", "unread", "5")},
			ready: "4 8 9", waiting: "10", held: "5", says: "lost"},
		{name: "a shard was trimmed unread", listing: without("0 1 2 3 5 6 7"), rows: []lease.Row{four, five, own("8", "open", "")},
			create: "9 10", ready: "5 4 8", gone: "5", says: "what arrived in it after position 4711.0 is lost; the line goes on in 10 and 9"},
		{name: "two generations were trimmed unread", listing: without("0 1 2 3 5 6 7"), rows: []lease.Row{four, own("9", "open", ""), own("10", "open", ""), own("0", "open", ""), own("3", "unread", "")},
			create: "8", ready: "0 3 10 4 9", gone: "0 3", says: "lane 8 goes on from 6 and 7, which left the stream before anybody read it: what arrived there, and in lanes between it and 0 and 3, is lost"},
		{name: "an ended row does not say that its grandchild is new", listing: without("0 1 2 3 5 6 7"), rows: []lease.Row{four, own("9", "open", ""), own("10", "open", ""), own("0", "done", ""), own("1", "done", "")},
			create: "8", ready: "10 4 9", held: "8", delete: "0 1", says: "read the stream before"},
		{name: "what is done and gone goes", listing: without("0 1 2 3 5 6 7"), rows: []lease.Row{four, own("8", "open", "6 7"), own("5", "done", "", "10", "9"), own("9", "open", "5"), own("10", "open", "5")},
			ready: "10 4 8 9", delete: "5"},
		{name: "a tombstone stays while the shard is listed", listing: without("0 1 2 3 6 7"), rows: []lease.Row{four, own("8", "open", "6 7"), own("5", "done", "", "10", "9"), own("9", "open", "5"), own("10", "open", "5")},
			ready: "10 4 8 9"},
		{name: "a tombstone stays until all children have begun", listing: without("0 1 2 3 5 6 7"), rows: []lease.Row{four, own("8", "open", "6 7"), own("5", "done", "", "10", "9"), own("9", "open", "5"), own("10", "unread", "5")},
			ready: "10 4 8 9"},
		{name: "a tombstone stays that is newer than the listing", listing: without("6 7 8 9 10"), rows: []lease.Row{four, own("0", "open", ""), own("1", "open", ""), own("2", "open", ""), own("3", "open", ""), own("5", "done", "", "10", "9"), own("9", "done", "5", "11"), own("10", "open", "5"), own("11", "open", "9")},
			ready: "0 1 2 3 4", waiting: "10 11"},
		{name: "a tombstone goes after its children went", listing: without("0 1 2 3 5 6 7"), rows: []lease.Row{four, own("8", "open", "6 7"), own("9", "open", ""), own("10", "open", ""), own("0", "done", "", "6"), own("1", "done", "", "6"), own("6", "done", "0 1", "8")},
			ready: "10 4 8 9", delete: "0 1 6"},
		{name: "a listing that is older than the rows ends no lane", listing: without("6 7 8"), rows: []lease.Row{four, own("0", "done", "", "6"), own("1", "done", "", "6"), own("2", "open", ""), own("3", "open", ""), own("6", "unread", "0 1"), own("7", "unread", "2 3"), own("8", "unread", "6 7"), own("5", "open", ""), own("9", "unread", "5"), own("10", "unread", "5")},
			ready: "2 3 4 5", waiting: "10 6 7 8 9"},
		{name: "an incomplete listing ends no lane", listing: without("0 1 2 3 4 5 6 7"), rows: []lease.Row{four, own("8", "open", ""), own("9", "open", ""), own("10", "open", "")},
			ready: "10 8 9", waiting: "4"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := plan(t, test.listing, test.rows...)
			for _, c := range []struct {
				what string
				got  []string
				want string
			}{
				{"creates", lanes(d.Create), test.create},
				{"waiting", slices.Collect(maps.Keys(d.Waiting)), test.waiting},
				{"held", slices.Collect(maps.Keys(d.Held)), test.held},
				{"gone", slices.Collect(maps.Keys(d.Gone)), test.gone},
				{"deletes", lanes(d.Delete), test.delete},
			} {
				if !same(c.got, c.want) {
					t.Errorf("%s %v, want %s", c.what, c.got, c.want)
				}
			}
			if got := strings.Join(lanes(d.Ready), " "); got != test.ready {
				t.Errorf("ready are %s, want %s, in this order", got, test.ready)
			}
			said := strings.Join(append(slices.Collect(maps.Values(d.Held)), d.Warnings...), "\n")
			if !strings.Contains(said, test.says) || test.says == "" && said != "" {
				t.Errorf("said was %q, want %q", said, test.says)
			}
			for _, r := range d.Create {
				if held := strings.Contains(" "+test.held+" ", " "+r.Lane+" "); (r.Hold != "") != held || r.Source != "arn" || r.Watermark != shardlake.Never || r.Range.IsZero() {
					t.Errorf("creates %+v", r)
				}
				if len(test.rows) > 0 && r.Begin != 7 || len(test.rows) == 0 && r.Begin != shardlake.Never {
					t.Errorf("lane %s begins at %v", r.Lane, r.Begin)
				}
			}
			if !d.Busy {
				t.Error("nothing is left to do?")
			}
			// However many of the rows are made, the rest is decided alike; and when all
			// are, nothing is missing.
			for n := range d.Create {
				some := slices.Concat(test.rows, d.Create[:n+1])
				if again := plan(t, test.listing, some...); !slices.Equal(lanes(again.Create), lanes(d.Create[n+1:])) || !reflect.DeepEqual(slices.Sorted(maps.Keys(again.Held)), slices.Sorted(maps.Keys(d.Held))) {
					t.Errorf("after %d rows: creates %v, held %v", n+1, lanes(again.Create), again.Held)
				}
			}
		})
	}
}

// The parents of a row are those that have one: the others are gone.
func TestParentsOfRows(t *testing.T) {
	parents := func(d lineage.Decision) map[string][]string {
		got := map[string][]string{}
		for _, r := range d.Create {
			got[r.Lane] = r.Parents
		}
		return got
	}
	if got, want := parents(plan(t, without("0 1 2 3 6"))), map[string][]string{"4": nil, "5": nil, "7": nil, "8": {"7"}, "9": {"5"}, "10": {"5"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	rows := []lease.Row{own("4", "open", ""), own("9", "open", ""), own("10", "open", ""), own("0", "open", ""), own("7", "open", "")}
	d := plan(t, without("0 1 2 3 5 6"), rows...)
	if got, want := parents(d), map[string][]string{"8": {"7", "0"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if d = plan(t, without("0 1 2 3 5 6"), append(rows, d.Create...)...); !slices.Equal(d.Gone["0"], []string{"8"}) || !strings.Contains(d.Waiting["8"], "0 (not read to its end) and 7 (not read to its end)") {
		t.Errorf("%v, %v", d.Gone, d.Waiting)
	}
}

// Rows of other sources do not matter; a stream that was made again does.
func TestOtherSources(t *testing.T) {
	rows := []lease.Row{own("4", "open", ""), {Lane: "99", Source: "other", Fence: 1}, {Lane: "12:orders:1:0"}}
	l := without("0 1 2 3 5 6 7 8 9 10")
	if d := plan(t, l, rows...); !same(lanes(d.Ready), "4") || len(d.Create)+len(d.Waiting)+len(d.Delete) > 0 || d.First {
		t.Errorf("%+v", d)
	}
	if d := plan(t, l, rows[1:]...); !same(lanes(d.Create), "4") || !d.First {
		t.Errorf("%+v", d)
	}
	rows[0].Source = "made again"
	if _, err := lineage.Plan(l, rows); err == nil || !strings.Contains(err.Error(), "made again") || !strings.Contains(err.Error(), "lane 4") {
		t.Error(err)
	}
}

// A source without lineage may grow, and shrink, as it likes.
func TestNoLineage(t *testing.T) {
	l := source.Listing{Name: "files", Identity: "files", Begin: shardlake.Never, Lanes: []source.Lane{{ID: "a"}, {ID: "b"}}}
	begun := lease.Row{Lane: "a", Source: "files", Fence: 1, Number: 3, Begin: shardlake.Never}
	if d := plan(t, l, begun); !same(lanes(d.Create), "b") || len(d.Held) > 0 || len(d.Warnings) != 1 {
		t.Errorf("%+v", d)
	}
	l.Lanes = l.Lanes[1:]
	b := lease.Row{Lane: "b", Source: "files", Fence: 1, Number: 1, Ended: true}
	if d := plan(t, l, begun, b); d.Busy || len(d.Delete)+len(d.Gone) > 0 || len(d.Warnings) != 1 {
		t.Errorf("%+v", d)
	}
	// A source of one process need not say who it is.
	l.Identity, begun.Source, b.Source = "", "", ""
	if d := plan(t, l, begun, b); d.Busy || len(d.Create) > 0 {
		t.Errorf("%+v", d)
	}
}

// Nothing is Busy once everything is read.
func TestNotBusy(t *testing.T) {
	rows := []lease.Row{own("4", "done", ""), own("8", "done", ""), own("9", "done", ""), own("10", "done", "")}
	if d := plan(t, without("0 1 2 3 5 6 7"), rows...); d.Busy {
		t.Errorf("%+v", d)
	}
}

// A listing that goes in circles is not followed for ever.
func TestCircle(t *testing.T) {
	l := source.Listing{Identity: "arn", Lanes: []source.Lane{{ID: "a", Parents: []string{"b"}}, {ID: "b", Parents: []string{"a", "b"}}}}
	for _, rows := range [][]lease.Row{nil, {{Lane: "a"}}, {{Lane: "a", Source: "arn", Fence: 1, Parents: []string{"a"}}}} {
		plan(t, l, rows...)
	}
	lineage.Missing(l.Lanes, nil, lineage.TrimHorizon)
}
