package kinesistest

import (
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"testing"
)

// MD5 routing in a uniform stream of four shards.
func TestHashVectors(t *testing.T) {
	for _, v := range []struct {
		key, decimal string
		shard        int
	}{
		{"a", "16955237001963240173058271559858726497", 0},
		{"test0", "328257131159585832791995260625877471856", 3},
		{"partitionKey-1", "159499196025307651934328298402289840726", 1},
		{"user-42", "157107139746365290205026809710278036035", 1},
		{"été", "295999419373203071729176520050689792210", 3},
		{"0", "276215275525073243129443018166533317850", 3},
		{"1", "261578874264819908609102035485573088411", 3},
		{"2", "266003691477286198901011725417809479212", 3},
		{"pk1", "329398341438914906102347661116985167824", 3},
		{"pk2", "122875064651314509700510597659732835739", 1},
	} {
		if got := hashOf(v.key).String(); got != v.decimal {
			t.Errorf("hash of %q = %s, want %s", v.key, got, v.decimal)
		}
		s := New(Config{})
		if err := s.CreateStream("s", 4); err != nil {
			t.Fatal(err)
		}
		_, shard, err := s.Put("s", v.key, nil)
		if want := shardName(uint32(v.shard)); err != nil || shard != want {
			t.Errorf("%q went to %s (%v), want %s", v.key, shard, err, want)
		}
	}
}

func TestUniformRanges(t *testing.T) {
	for _, starts := range [][]string{
		{"0"},
		{"0", "170141183460469231731687303715884105728"},
		{"0", "113427455640312821154458202477256070485", "226854911280625642308916404954512140970"},
		{"0", "85070591730234615865843651857942052864", "170141183460469231731687303715884105728", "255211775190703847597530955573826158592"},
		{"0", "68056473384187692692674921486353642291", "136112946768375385385349842972707284582",
			"204169420152563078078024764459060926873", "272225893536750770770699685945414569164"},
	} {
		s := New(Config{})
		if err := s.CreateStream("s", len(starts)); err != nil {
			t.Fatal(err)
		}
		shards, err := s.Shards("s")
		if err != nil || len(shards) != len(starts) {
			t.Fatalf("%d shards, %v", len(shards), err)
		}
		for i, sh := range shards {
			if sh.StartingHashKey != starts[i] {
				t.Errorf("shard %d of %d starts at %s, want %s", i, len(starts), sh.StartingHashKey, starts[i])
			}
			end := maxHashKey.String()
			if i+1 < len(shards) {
				next, _ := parseHashKey(starts[i+1])
				end = next.prev().String()
			}
			if sh.EndingHashKey != end {
				t.Errorf("shard %d of %d ends at %s, want %s", i, len(starts), sh.EndingHashKey, end)
			}
		}
	}
	if got := uniformStarts(8)[1].String(); got != "42535295865117307932921825928971026432" {
		t.Errorf("size of one of 8 shards = %s", got)
	}
	if got := maxHashKey.String(); got != "340282366920938463463374607431768211455" {
		t.Errorf("largest key = %s", got)
	}
	// The even split of shard 0 of 2.
	if got := middle(hashKey{}, uniformStarts(2)[1].prev()).String(); got != "85070591730234615865843651857942052864" {
		t.Errorf("middle = %s", got)
	}
	if got := middle(hashKey{0, 7}, hashKey{0, 8}); got != (hashKey{0, 8}) {
		t.Errorf("middle of two keys = %v", got)
	}
}

// Numbers that the service gave out name their shard.
func TestSequenceVectors(t *testing.T) {
	for _, v := range []struct {
		number string
		shard  uint32
	}{
		{"49590338271490256608559692538361571095921575989136588898", 6},
		{"49543463076548007577105092703039560359975228518395019266", 0},
	} {
		q, ok := parseSequence(v.number)
		if !ok || q.shard != v.shard {
			t.Errorf("%s: shard %d, %v, want %d", v.number, q.shard, ok, v.shard)
		}
		if got := q.String(); got != v.number {
			t.Errorf("written back: %s, want %s", got, v.number)
		}
	}
	for _, bad := range []string{"", "0", "-1", "4959033827149025660855969253836157109592157598913658889", "LATEST",
		"09590338271490256608559692538361571095921575989136588898", "49590338271490256608559692538361571095921575989136588899",
		"99999999999999999999999999999999999999999999999999999999"} {
		if q, ok := parseSequence(bad); ok {
			t.Errorf("%q was read as %+v", bad, q)
		}
	}
}

func TestSequenceOrderAndForm(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		q := sequence{epoch: rnd.Uint64() & mask36, seconds: rnd.Uint64() & mask36, index: rnd.Uint64() >> 1, shard: rnd.Uint32()}
		s := q.String()
		if back, ok := parseSequence(s); !ok || back != q || len(s) != sequenceDigits {
			t.Fatalf("%+v became %s became %+v, %v", q, s, back, ok)
		}
		if q.index == math.MaxInt64 {
			continue
		}
		later := q
		later.index++
		later.seconds = rnd.Uint64() & mask36
		if later.String() <= s {
			t.Fatalf("%+v is not after %+v", later, q)
		}
		child := sequence{epoch: (q.epoch + 1) & mask36, shard: rnd.Uint32()}
		if end := (sequence{epoch: q.epoch, shard: q.shard, index: endIndex, seconds: mask36}); child.epoch != 0 && child.String() <= end.String() {
			t.Fatalf("child %+v is not after %+v", child, end)
		}
	}
}

func TestTokensAreChecked(t *testing.T) {
	it := iterator{stream: 1, shard: 2, index: 3, created: 4}
	if got, ok := parseIterator(it.String()); !ok || got != it {
		t.Errorf("iterator came back as %+v, %v", got, ok)
	}
	nt := nextToken{mark: shardsMark, stream: 1, after: 2, filter: 3, at: -4, created: 5}
	if got, ok := parseNextToken(nt.String(), shardsMark); !ok || got != nt {
		t.Errorf("token came back as %+v, %v", got, ok)
	}
	b := []byte(it.String())
	b[8] ^= 1
	for _, bad := range []string{"", "x", nt.String(), string(b), it.String()[:8]} {
		if _, ok := parseIterator(bad); ok {
			t.Errorf("%q was read as an iterator", bad)
		}
	}
}

// The package comment lists every operation that is served, and no other.
func TestOperationsAreListed(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	ops := New(Config{}).ops
	listed := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^//\t([A-Z][A-Za-z]+) {2,}`).FindAllStringSubmatch(string(doc), -1) {
		listed[row[1]] = true
		if ops[row[1]] == nil {
			t.Errorf("%s is listed and not served", row[1])
		}
	}
	for op := range ops {
		if !listed[op] {
			t.Errorf("%s is served and not listed", op)
		}
	}
}
