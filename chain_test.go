package shardlake_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/shardlake/shardlake"
)

// shelf is a state that is a map.
type shelf struct {
	schema    string
	held      map[string]shardlake.Entry
	changed   map[string]bool
	whole     int // snapshots that were
	inherited int
}

func newShelf() *shelf {
	return &shelf{schema: "a shelf", held: map[string]shardlake.Entry{}, changed: map[string]bool{}}
}

func (s *shelf) set(key, value string) {
	s.held[key] = shardlake.Entry{Key: []byte(key), Home: shardlake.HashOf(key), Value: []byte(value)}
	s.changed[key] = true
}
func (s *shelf) drop(key string) { delete(s.held, key); s.changed[key] = true }
func (s *shelf) Schema() string  { return s.schema }
func (s *shelf) Bytes() int64    { return int64(len(s.held)) }
func (s *shelf) Snapshot(whole bool, put func(shardlake.Entry)) error {
	keys := slices.Sorted(maps.Keys(s.changed))
	if whole {
		s.whole++
		keys = slices.Sorted(maps.Keys(s.held))
	}
	for _, k := range keys {
		e, ok := s.held[k]
		if !ok {
			e.Key = []byte(k)
		}
		put(e)
	}
	clear(s.changed)
	return nil
}
func (s *shelf) Restore(_ string, e shardlake.Entry, inherited bool) error {
	if inherited {
		s.inherited++
		if _, had := s.held[string(e.Key)]; had {
			return errors.New("two parents had it")
		}
	}
	if e.Value == nil {
		delete(s.held, string(e.Key))
		return nil
	}
	s.held[string(e.Key)] = shardlake.Entry{Key: bytes.Clone(e.Key), Home: e.Home, Value: bytes.Clone(e.Value)}
	return nil
}

func (s *shelf) equal(o *shelf) bool {
	return maps.EqualFunc(s.held, o.held, func(a, b shardlake.Entry) bool { return a.Home == b.Home && bytes.Equal(a.Value, b.Value) })
}

// keeping opens a lane that keeps s under a name.
func keeping(t testing.TB, kept shardlake.Kept, s shardlake.State) (*shardlake.Env, error) {
	env := shardlake.NewEnv(t.Context(), shardlake.Host{State: kept})
	return env, env.Keep("shelf", s)
}

// held is what a commit holds: its own segments, and those that it takes from the one
// before.
func held(t testing.TB, env *shardlake.Env, before shardlake.Kept) shardlake.Kept {
	t.Helper()
	next, err := env.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for k, b := range next {
		if b == nil {
			if next[k] = before[k]; next[k] == nil {
				t.Fatalf("segment %q is not in the commit before", k)
			}
		}
	}
	return next
}

func size(kept shardlake.Kept) (n int) {
	for _, b := range kept {
		n += len(b)
	}
	return n
}

// After any number of commits, what a chain restores to is what there was, and a
// chain has bounds, whatever is set, dropped, set again, or dropped without ever
// having been kept.
func TestChainsRestoreWhatThereWas(t *testing.T) {
	deltas := 0
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 5))
		s := newShelf()
		env, err := keeping(t, nil, s)
		if err != nil {
			t.Fatal(err)
		}
		defer env.Close()
		var kept shardlake.Kept
		few := 1 + r.IntN(200)
		for i := range r.IntN(3000) {
			s.set(fmt.Sprint("key ", i), "first")
		}
		for n := range 60 {
			for range r.IntN(few) {
				k := fmt.Sprint("key ", r.IntN(3000))
				switch r.IntN(5) {
				case 0:
					s.drop(k)
				case 1:
					s.drop(k)
					s.set(k, "again")
				case 2:
					s.set(k, "")
					s.drop(k)
				default:
					s.set(k, strings.Repeat("x", r.IntN(30)))
				}
			}
			if r.IntN(20) == 0 {
				for k := range s.held {
					s.drop(k)
				}
			}
			before := s.whole
			kept = held(t, env, kept)
			if s.whole == before {
				deltas++
			}
			if len(kept) > 24 {
				t.Fatalf("seed %d, commit %d: a chain of %d", seed, n, len(kept))
			}
			again := newShelf()
			other, err := keeping(t, kept, again)
			if err != nil || !again.equal(s) {
				t.Fatalf("seed %d, commit %d: %d entries came back of %d: %v", seed, n, len(again.held), len(s.held), err)
			}
			other.Close()
			if r.IntN(4) == 0 { // the next owner goes on with the chain
				s = newShelf()
				if env, err = keeping(t, kept, s); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if deltas < 100 {
		t.Errorf("only %d commits wrote what had changed", deltas)
	}
}

// A chain is at most some times as large as what it restores to.
func TestChainsAreBounded(t *testing.T) {
	s := newShelf()
	env, err := keeping(t, nil, s)
	if err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	for i := range 4000 {
		s.set(fmt.Sprint(i), "0123456789")
	}
	kept := held(t, env, nil)
	full := size(kept)
	for n := range 300 {
		for i := range 40 {
			s.set(fmt.Sprint((n*37+i)%4000), "9876543210")
		}
		if kept = held(t, env, kept); size(kept) > full*8/5 || len(kept) > 24 {
			t.Fatalf("commit %d: %d bytes in %d segments, where everything takes %d", n, size(kept), len(kept), full)
		}
	}
	// What has not changed is not written.
	next, err := env.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for k, b := range next {
		if b != nil {
			t.Errorf("%q is written again", k)
		}
	}
}

// Another schema makes the next snapshot whole, so that no chain mixes two.
func TestAnotherSchemaIsWrittenWhole(t *testing.T) {
	s := newShelf()
	env, err := keeping(t, nil, s)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		s.set(fmt.Sprint(i), "0123456789")
	}
	kept := held(t, env, nil)
	s.set("1", "changed")
	kept = held(t, env, kept)
	env.Close()
	again := newShelf()
	again.schema = "another"
	if env, err = keeping(t, kept, again); err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	next := held(t, env, kept)
	if again.whole != 1 || len(next) != 1 || !again.equal(s) {
		t.Errorf("%d whole, %d segments", again.whole, len(next))
	}
}

// cut divides a range at a random place.
func cut(r *rand.Rand, of shardlake.HashRange) (a, b shardlake.HashRange, ok bool) {
	var at shardlake.Hash
	for i := range at {
		at[i] = byte(r.UintN(256))
	}
	next, more := at.Next()
	if !more || !of.Contains(at) || !of.Contains(next) {
		return of, of, false
	}
	return shardlake.HashRange{From: of.From, To: at}, shardlake.HashRange{From: next, To: of.To}, true
}

var everything = shardlake.HashRange{To: shardlake.MaxHash}

// Whatever a chain says, and wherever the hash space is cut, each entry that is not
// gone has one heir; and two parents leave to one child all that they had.
func TestDivideGivesEachEntryToOneChild(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 6))
		s := newShelf()
		env, err := keeping(t, nil, s)
		if err != nil {
			t.Fatal(err)
		}
		defer env.Close()
		var kept shardlake.Kept
		for range 1 + r.IntN(10) {
			for range 300 {
				k := fmt.Sprint("key ", r.IntN(1000))
				if s.set(k, "some value"); r.IntN(3) == 0 {
					s.drop(k)
				}
			}
			kept = held(t, env, kept)
		}
		parts := []shardlake.HashRange{everything}
		for range r.IntN(6) {
			i := r.IntN(len(parts))
			if a, b, ok := cut(r, parts[i]); ok {
				parts = append(slices.Delete(parts, i, i+1), a, b)
			}
		}
		parent := shardlake.Parent{State: kept, Range: everything}
		var children []shardlake.Parent
		n := 0
		for _, p := range parts {
			part, err := shardlake.Divide([]shardlake.Parent{parent}, p)
			if err != nil {
				t.Fatal(err)
			}
			children = append(children, shardlake.Parent{State: part, Range: p})
			child := newShelf()
			env, err := keeping(t, part, child)
			if err != nil {
				t.Fatal(err)
			}
			defer env.Close()
			for k, e := range child.held {
				if n++; !p.Contains(e.Home) || string(s.held[k].Value) != string(e.Value) {
					t.Fatalf("seed %d: %q at %v in %v", seed, k, e.Home, p)
				}
			}
			// A child that ends before its stages wrote anything leaves what it had.
			if next := held(t, env, part); len(child.held) > 0 && len(next) != 1 {
				t.Fatalf("seed %d: %d segments after an inheritance", seed, len(next))
			}
		}
		if n != len(s.held) {
			t.Fatalf("seed %d: %d entries in %d children, of %d", seed, n, len(parts), len(s.held))
		}
		merged, err := shardlake.Divide(children, everything)
		if err != nil {
			t.Fatal(err)
		}
		heir := newShelf()
		env, err = keeping(t, merged, heir)
		if err != nil || !heir.equal(s) {
			t.Fatalf("seed %d: %d entries of %d after a merge: %v", seed, len(heir.held), len(s.held), err)
		}
		env.Close()
	}
}

// A home outside of the parent's range counts for its nearest edge.
func TestDivideGivesStraysToTheNearestEdge(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	low, rest, _ := cut(r, everything)
	middle, _, ok := cut(r, rest)
	for !ok {
		middle, _, ok = cut(r, rest)
	}
	a, b, ok := cut(r, middle)
	for !ok {
		a, b, ok = cut(r, middle)
	}
	s := newShelf()
	s.held["low"] = shardlake.Entry{Key: []byte("low"), Home: low.From, Value: []byte{}}
	s.held["high"] = shardlake.Entry{Key: []byte("high"), Home: shardlake.MaxHash, Value: []byte{}}
	env, err := keeping(t, nil, s)
	if err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	kept := held(t, env, nil)
	for want, child := range map[string]shardlake.HashRange{"low": a, "high": b} {
		part, err := shardlake.Divide([]shardlake.Parent{{State: kept, Range: middle}}, child)
		if err != nil {
			t.Fatal(err)
		}
		got := newShelf()
		env, err := keeping(t, part, got)
		if _, ok := got.held[want]; err != nil || !ok || len(got.held) != 1 {
			t.Errorf("%s: %v %v", want, got.held, err)
		}
		env.Close()
	}
}

// A chain that lacks a segment would restore to something that never was.
func TestChainWithAHoleIsRefused(t *testing.T) {
	s := newShelf()
	env, err := keeping(t, nil, s)
	if err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	for i := range 2000 {
		s.set(fmt.Sprint(i), "0123456789")
	}
	var kept shardlake.Kept
	for i := range 4 {
		s.set(fmt.Sprint(i), "changed")
		kept = held(t, env, kept)
	}
	all := slices.Sorted(maps.Keys(kept))
	if len(all) != 4 {
		t.Fatal(all)
	}
	for i, k := range all[:3] {
		holed := maps.Clone(kept)
		delete(holed, k)
		if _, err := keeping(t, holed, newShelf()); err == nil || !strings.Contains(err.Error(), "missing") || !strings.Contains(err.Error(), `"shelf"`) {
			t.Errorf("without segment %d: %v", i, err)
		}
		if _, err := shardlake.Divide([]shardlake.Parent{{State: holed}}, everything); err == nil {
			t.Errorf("without segment %d: it was divided", i)
		}
	}
	for _, bad := range []string{"shelf", "shelf\x00", "shelf\x00x", "shelf\x00-1", "shelf\x0001", "shelf\x00+1", "shelf\x000"} {
		if _, err := keeping(t, shardlake.Kept{bad: kept[all[0]]}, newShelf()); err == nil || !strings.Contains(err.Error(), "number") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// explosive is a state whose methods panic, as a user's type that reads itself may.
type explosive struct{ *shelf }

func (explosive) Snapshot(bool, func(shardlake.Entry)) error  { panic("no snapshot") }
func (explosive) Restore(string, shardlake.Entry, bool) error { panic("no restore") }

func TestPanicsOfStatesAreErrors(t *testing.T) {
	s := newShelf()
	s.set("a", "b")
	env, err := keeping(t, nil, s)
	if err != nil {
		t.Fatal(err)
	}
	kept := held(t, env, nil)
	env.Close()
	if _, err := keeping(t, kept, explosive{s}); err == nil || err.Error() != `restore the state of "shelf": panic: no restore` {
		t.Error(err)
	}
	if env, err = keeping(t, nil, explosive{s}); err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	if _, err := env.Snapshot(); err == nil || err.Error() != `snapshot of "shelf": panic: no snapshot` {
		t.Error(err)
	}
}

// Damage at any place is an error.
func TestDamagedSegments(t *testing.T) {
	for at := range segment(t) {
		b := segment(t)
		b[at] ^= 0x20
		refused(t, fmt.Sprint("byte ", at), b)
		refused(t, fmt.Sprint("cut to ", at), b[:at])
	}
}

func segment(t testing.TB) []byte {
	s := newShelf()
	s.set("a", "1")
	s.set("", "")
	env, err := keeping(t, nil, s)
	if err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	return held(t, env, nil)["shelf\x001"]
}

func refused(t *testing.T, what string, b []byte) {
	t.Helper()
	kept := shardlake.Kept{"shelf\x001": b}
	if env, err := keeping(t, kept, newShelf()); err == nil || !strings.Contains(err.Error(), `"shelf"`) {
		t.Errorf("%s: %v", what, err)
	} else if _, err := env.Orphans(); err == nil {
		t.Errorf("%s: no error of Orphans", what)
	}
	if _, err := shardlake.Divide([]shardlake.Parent{{State: kept}}, everything); err == nil {
		t.Errorf("%s: it was divided", what)
	}
}

// FuzzSegment looks for bytes that a restore or a division panics on. The checksum is
// set right, or little would come further than that.
func FuzzSegment(f *testing.F) {
	f.Add(segment(f), uint64(1))
	f.Add([]byte("\x01D\x00\x00\x01a----"), uint64(2))
	f.Add([]byte("\x01I\x00\x01----"), uint64(3))
	f.Fuzz(func(t *testing.T, b []byte, n uint64) {
		if len(b) >= 4 {
			b = binary.LittleEndian.AppendUint32(b[:len(b)-4:len(b)-4], crc32.ChecksumIEEE(b[:len(b)-4]))
		}
		kept := shardlake.Kept{fmt.Sprint("shelf\x00", n%16): b}
		child, _, _ := cut(rand.New(rand.NewPCG(n, 1)), everything)
		s := newShelf()
		env, err := keeping(t, kept, s)
		env.Close()
		part, divided := shardlake.Divide([]shardlake.Parent{{State: kept, Range: everything}}, child)
		if divided != nil || err != nil {
			return
		}
		heir := newShelf()
		if env, err = keeping(t, part, heir); err != nil {
			t.Fatalf("what was divided is refused: %v", err)
		}
		env.Close()
		for k, e := range heir.held {
			if s.inherited == 0 && string(s.held[k].Value) != string(e.Value) {
				t.Fatalf("%q: %q, and %q of a child", k, s.held[k].Value, e.Value)
			}
		}
	})
}
