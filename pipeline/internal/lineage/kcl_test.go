package lineage_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/internal/lineage"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source"
)

// graphA is that of the KCL's own documentation: 0 and 1 were merged to 6, 2 and
// 3 to 7, 6 and 7 to 8; 5 was split to 9 and 10; 4, 8, 9 and 10 are open.
func graphA() source.Listing {
	l := source.Listing{Name: "clicks", Identity: "arn", Begin: shardlake.Never}
	parents := map[int][]string{6: {"0", "1"}, 7: {"2", "3"}, 8: {"6", "7"}, 9: {"5"}, 10: {"5"}}
	// Of the 12 parts of the hash space, 0 to 3 have two each, 4 one, 5 three.
	ranges := [][2]byte{{0, 1}, {2, 3}, {4, 5}, {6, 7}, {8, 8}, {9, 11}, {0, 3}, {4, 7}, {0, 7}, {9, 9}, {10, 11}}
	for i, r := range ranges {
		l.Lanes = append(l.Lanes, source.Lane{ID: fmt.Sprint(i), Parents: parents[i], Range: twelfths(r[0], r[1])})
	}
	return l
}

// twelfths is a range from the beginning of one to the end of another, of which
// the last takes the rest.
func twelfths(from, to byte) (r shardlake.HashRange) {
	r.From[0], r.To = from*21, shardlake.MaxHash
	if to < 11 {
		r.To[0] = to*21 + 20
	}
	return r
}

// The table of the KCL's HierarchicalShardSyncer, all of it.
func TestMissingLikeTheKCL(t *testing.T) {
	for _, test := range []struct{ leased, latest, trimHorizon string }{
		{"3 4 5", "2 6", "0 1 2"},
		{"4 5 7", "6", "0 1"},
		{"2 6", "3 4 9 10", "3 4 5"},
		{"4 9 10", "8", "0 1 2 3"},
		{"4 5 6 7", "", ""},
		{"0 1 2 3 4 5 6 7", "", ""},
		{"0 1 4 7 9 10", "", ""},
		{"", "4 8 9 10", "0 1 2 3 4 5"},
	} {
		leased := map[string]bool{}
		for id := range strings.FieldsSeq(test.leased) {
			leased[id] = true
		}
		for at, want := range map[lineage.Initial]string{lineage.Latest: test.latest, lineage.TrimHorizon: test.trimHorizon, lineage.AtTimestamp: test.trimHorizon} {
			if got := lineage.Missing(graphA().Lanes, leased, at); !same(got, want) {
				t.Errorf("leases of %s, position %v: got %v, want %s", test.leased, at, got, want)
			}
		}
	}
}

func same(ids []string, want string) bool {
	w := strings.Fields(want)
	slices.Sort(w)
	return slices.Equal(slices.Sorted(slices.Values(ids)), w)
}

// A table of the KCL is taken over: the lanes that it would make are made, and
// with them all that descend from them or from what it reads. Shards that it left
// behind are not read again.
func TestTakeOver(t *testing.T) {
	for _, test := range []struct{ rows, create, ready, waiting string }{
		{"3 4 5", "0 1 2 6 7 8 9 10", "3 4 5", ""},
		{"4 5 7", "0 1 6 8 9 10", "4 5 7", ""},
		{"2 6", "3 4 5 7 8 9 10", "2 6", ""},
		{"4 9 10", "0 1 2 3 6 7 8", "10 4 9", ""},
		{"4 5 6 7", "8 9 10", "4 5 6 7", ""},
		{"0 1 2 3 4 5 6 7", "8 9 10", "0 1 2 3 4 5", "6 7"},
		{"0 1 4 7 9 10", "6 8", "0 1 10 4 7 9", ""},
		{"4 8 9 10", "", "10 4 8 9", ""},
	} {
		var rows []lease.Row
		for id := range strings.FieldsSeq(test.rows) {
			rows = append(rows, lease.Row{Lane: id})
		}
		for crash := 0; ; crash++ {
			d, err := lineage.Plan(graphA(), rows)
			if err != nil {
				t.Fatal(err)
			}
			if crash == 0 && (!same(lanes(d.Create), test.create) || !same(lanes(d.Ready), test.ready) || !same(slices.Collect(maps.Keys(d.Waiting)), test.waiting)) {
				t.Errorf("rows of %s: creates %v, %v are ready, %v wait", test.rows, lanes(d.Create), lanes(d.Ready), d.Waiting)
			}
			if len(d.Held)+len(d.Warnings)+len(d.Delete) > 0 {
				t.Errorf("rows of %s: %v is held, deletes %v, warnings %v", test.rows, d.Held, d.Delete, d.Warnings)
			}
			if len(d.Create) == 0 {
				break
			}
			rows = append(rows, d.Create[0]) // and dies; another one goes on
		}
		if got := len(rows); got != len(strings.Fields(test.rows+" "+test.create)) {
			t.Errorf("rows of %s: with a crash after each row there are %d rows", test.rows, got)
		}
		// It goes on when the first lane is acquired, and when all are.
		for i := range rows {
			rows[i].Fence, rows[i].Inc = 1, "life"
			if d, err := lineage.Plan(graphA(), rows); err != nil || len(d.Create)+len(d.Held)+len(d.Holes) > 0 {
				t.Errorf("rows of %s, %d acquired: %v, creates %v, %v is held, holes %v", test.rows, i+1, err, lanes(d.Create), d.Held, d.Holes)
			}
		}
	}
}

func lanes(rows []lease.Row) (ids []string) {
	for _, r := range rows {
		ids = append(ids, r.Lane)
	}
	return ids
}

// What ours does otherwise than the KCL, and the positions at which new rows begin.
func TestTakeOverDiffers(t *testing.T) {
	now := shardlake.Instant(1_000)
	l := graphA()
	l.Begin = now // LATEST
	mid := shardlake.Position{Seq: "4711"}

	t.Run("descendants of what is read begin at their beginning", func(t *testing.T) {
		d := plan(t, l, lease.Row{Lane: "4"}, lease.Row{Lane: "5", Pos: mid}, lease.Row{Lane: "7"})
		begins := map[string]shardlake.Instant{"0": now, "1": now, "6": now, "8": 0, "9": shardlake.Never, "10": shardlake.Never}
		for _, r := range d.Create {
			if want, ok := begins[r.Lane]; !ok || r.Begin != want {
				t.Errorf("lane %s begins at %v, want %v", r.Lane, r.Begin, want)
			}
		}
		if len(d.Create) != len(begins) {
			t.Errorf("creates %v", lanes(d.Create))
		}
	})
	t.Run("a lane is not read again because a sibling of its child lost its row", func(t *testing.T) {
		rows := []lease.Row{{Lane: "4"}, {Lane: "8"}, {Lane: "9", Pos: mid}}
		if d := plan(t, l, rows...); !same(lanes(d.Create), "10") || !strings.Contains(d.Held["10"], "was lost") || !same(lanes(d.Ready), "4 8 9") {
			t.Errorf("creates %v, %v is held, %v are ready", lanes(d.Create), d.Held, lanes(d.Ready))
		}
		rows[2].Pos = shardlake.Position{}
		if d := plan(t, l, rows...); !same(lanes(d.Create), "5 10") || len(d.Held) > 0 || !same(lanes(d.Ready), "4 8") {
			t.Errorf("without progress, as the KCL: creates %v, %v is held, %v are ready", lanes(d.Create), d.Held, lanes(d.Ready))
		}
	})
	t.Run("a child that the ended parent names had a lease", func(t *testing.T) {
		ended := lease.Row{Lane: "5", Ended: true, Children: []string{"10", "9"}}
		d := plan(t, l, lease.Row{Lane: "4"}, lease.Row{Lane: "8"}, lease.Row{Lane: "9"}, ended)
		if !same(lanes(d.Create), "10") || d.Held["10"] == "" {
			t.Errorf("creates %v, %v is held", lanes(d.Create), d.Held)
		}
		ended.Children = nil // as old versions leave it: the child was still to be made
		d = plan(t, l, lease.Row{Lane: "4"}, lease.Row{Lane: "8"}, lease.Row{Lane: "9"}, ended)
		if !same(lanes(d.Create), "10") || len(d.Held) > 0 || d.Create[0].Begin != shardlake.Never {
			t.Errorf("creates %+v, %v is held", d.Create, d.Held)
		}
	})
	t.Run("an ended lease is all that is left of a line", func(t *testing.T) {
		l := without("0 1 2 3 5 6 7")
		rows := []lease.Row{{Lane: "4"}, {Lane: "9", Pos: mid}, {Lane: "10", Pos: mid}, {Lane: "2", Range: twelfths(4, 5), Pos: mid, Ended: true}}
		rows[0].Fence = 1 // somebody has begun to take over
		d := plan(t, l, rows...)
		if !same(lanes(d.Create), "8") || len(d.Held)+len(d.Delete) > 0 || !slices.Equal(d.Create[0].Parents, []string{"2"}) || len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "between it and 2, is lost") {
			t.Errorf("creates %+v, deletes %v, warnings %q", d.Create, lanes(d.Delete), d.Warnings)
		}
		if d = plan(t, l, append(rows, d.Create...)...); !same(lanes(d.Ready), "4 8 9 10") || len(d.Delete) > 0 {
			t.Errorf("%v are ready, deletes %v", lanes(d.Ready), lanes(d.Delete))
		}
	})
	t.Run("its tombstones stay until we have taken over", func(t *testing.T) {
		l := graphA()
		l.Lanes = slices.DeleteFunc(l.Lanes, func(lane source.Lane) bool { return lane.ID == "5" })
		rows := []lease.Row{{Lane: "4"}, {Lane: "8"}, {Lane: "9", Pos: mid}, {Lane: "10", Pos: mid, Parents: []string{"5"}}, {Lane: "5", Ended: true}}
		if d := plan(t, l, rows...); len(d.Delete) > 0 {
			t.Errorf("deletes %v", d.Delete)
		}
		rows[2].Number, rows[3].Number = 1, 1
		if d := plan(t, l, rows...); !same(lanes(d.Delete), "5") {
			t.Errorf("deletes %v", d.Delete)
		}
	})
}

func plan(t *testing.T, l source.Listing, rows ...lease.Row) lineage.Decision {
	t.Helper()
	d, err := lineage.Plan(l, rows)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
