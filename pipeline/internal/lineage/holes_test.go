package lineage_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/internal/lineage"
	"github.com/shardlake/shardlake/pipeline/lease"
)

const maxHash = "340282366920938463463374607431768211455"

func span(t *testing.T, s string) (r shardlake.HashRange) {
	t.Helper()
	from, to, _ := strings.Cut(s, "-")
	var err error
	if r.From, err = shardlake.ParseHash(from); err != nil {
		t.Fatal(err)
	}
	if r.To, err = shardlake.ParseHash(to); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHoles(t *testing.T) {
	const beforeMax = "340282366920938463463374607431768211454"
	for _, test := range []struct{ ranges, want string }{
		{"0-9 10-" + maxHash, ""},
		{"10-" + maxHash + " 0-9", ""},
		{"0-9 11-" + maxHash, "10-10"},
		{"1-" + maxHash, "0-0"},
		{"0-" + beforeMax, maxHash + "-" + maxHash},
		{"0-20 5-9 10-" + maxHash, ""},
		{"0-20 5-9 22-" + maxHash, "21-21"},
		{"", "0-" + maxHash},
		{"0-" + maxHash, ""},
		{"0-0 1-1 2-" + maxHash, ""},
		{"0-0 2-2 4-" + maxHash, "1-1 3-3"},
		{maxHash + "-" + maxHash, "0-" + beforeMax},
		{"0-" + beforeMax + " " + maxHash + "-" + maxHash, ""},
		{"9-3", "0-" + maxHash},
		{"0-18446744073709551615 18446744073709551617-" + maxHash, "18446744073709551616-18446744073709551616"},
	} {
		var ranges []shardlake.HashRange
		for s := range strings.FieldsSeq(test.ranges) {
			ranges = append(ranges, span(t, s))
		}
		var got []string
		for _, h := range lineage.Holes(ranges) {
			got = append(got, fmt.Sprintf("%v-%v", h.From, h.To))
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: got %v, want %s", test.ranges, got, test.want)
		}
	}
}

// Finished rows cover nothing; rows without a range take it from the listing.
func TestHolesOfRows(t *testing.T) {
	l := graphA()
	rows := []lease.Row{{Lane: "4"}, {Lane: "8"}, {Lane: "9"}, {Lane: "10"}}
	if d := plan(t, l, rows...); d.Holes != nil {
		t.Error(d.Holes)
	}
	rows[1].Ended = true
	if d := plan(t, l, rows...); len(d.Holes) != 1 || d.Holes[0].From != (shardlake.Hash{}) {
		t.Error(d.Holes)
	}
	for i := range l.Lanes {
		l.Lanes[i].Range = shardlake.HashRange{}
	}
	if d := plan(t, l, rows...); d.Holes != nil {
		t.Error("ranges are not known, but holes are:", d.Holes)
	}
}
