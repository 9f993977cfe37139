package main

import (
	"math/big"
	"slices"
	"strconv"
	"testing"

	"github.com/shardlake/shardlake/examples/datasets/stateful"
)

func TestRepeatedPutsSomeRecordsTwiceNearbyAndSomeMuchLater(t *testing.T) {
	var good []record
	for i := range 3100 {
		good = append(good, record{key: strconv.Itoa(i), data: []byte(`{"n":` + strconv.Itoa(i) + `}`)})
	}
	out := repeated(good)
	var keys []string
	for _, r := range out[:20] {
		keys = append(keys, r.key)
	}
	if want := []string{"0", "1", "2", "3", "4", "3", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "14"}; !slices.Equal(keys, want) {
		t.Errorf("%q, want %q", keys, want)
	}
	at := slices.IndexFunc(out, func(r record) bool { return string(r.data) == `{"n":7,"again":true}` })
	if at < 0 || out[at-1].key != "3007" && out[at-2].key != "3007" || string(good[7].data) != `{"n":7}` {
		t.Errorf("record 7 comes again at %d, and is %s", at, good[7].data)
	}
}

func TestAGoldenSetIsThatOfItsWorkers(t *testing.T) {
	for name, g := range stateful.Sets() {
		s, err := find(golden + "-" + name)
		if err != nil {
			t.Fatal(err)
		}
		if key, err := s.key([]byte(g.End)); err != nil || key == "" || goldenFiles[name] == "" {
			t.Errorf("%s: key %q, file %q, %v", name, key, goldenFiles[name], err)
		}
	}
	for _, name := range []string{"web-access-stateful", "stateful-", "stateful-x"} {
		if _, err := find(name); err == nil {
			t.Errorf("%q is a set", name)
		}
	}
	for _, o := range []options{
		{set: golden, lake: "s3:bucket@http://127.0.0.1:1", leases: t.TempDir(), manifest: "m", shards: 1},
		{set: golden, lake: "dir:" + t.TempDir(), data: t.TempDir(), shards: 1},
	} {
		if err := play(t.Context(), o); err == nil {
			t.Errorf("%+v is no error", o)
		}
	}
}

func TestShardsMeetWhereOneEndsAndTheNextBegins(t *testing.T) {
	a, b := goldenShard{Low: big.NewInt(0), High: big.NewInt(4)}, goldenShard{Low: big.NewInt(5), High: big.NewInt(9)}
	if !a.meets(b) || b.meets(a) || a.meets(a) {
		t.Errorf("%v %v %v", a.meets(b), b.meets(a), a.meets(a))
	}
}
