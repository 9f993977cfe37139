package stage_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/stagetest"
	"github.com/shardlake/shardlake/stage/window"
)

// by is an aggregate over K and Row that changes nothing in the row it seeds.
func by[K comparable, Row any](key K, row Row) stage.Stage[int, Row] {
	return stage.Aggregate(window.Tumbling(time.Minute).Grace(0), func(int) K { return key },
		func(K, window.Span) Row { return row }, func(*Row, int) {})
}

// kept opens a lane, gives it a row and returns its state.
func kept[A, B any](t *testing.T, st stage.Stage[A, B], rows ...A) shardlake.Kept {
	t.Helper()
	l := open(t, st, nil)
	check(t, l.Push(at(0), rows...), nil)
	state, err := l.Snapshot()
	check(t, err, nil)
	return state
}

type inner struct{ N int }

type full struct {
	Nil, Empty, Two []string
	NilMap, Map     map[string]int
	Bytes, NoBytes  []byte
	For             time.Duration
	When            time.Time
	At              shardlake.Instant
	Big             uint64
	F               float64
	P, Q            *int
	In              inner
	Pair            [2]int
}

func TestStateIsKeptExactly(t *testing.T) {
	n := 7
	row := full{Empty: []string{}, Two: []string{"", "é\x00"}, Map: map[string]int{}, Bytes: []byte{}, For: time.Nanosecond,
		When: time.Date(1969, 1, 2, 3, 4, 5, 6789, time.UTC), At: shardlake.Never, Big: 1<<64 - 1, F: 0.1 + 0.2, P: &n, In: inner{3}, Pair: [2]int{1, 2}}
	st := by("k", row)
	l := open(t, st, kept(t, st, 1))
	check(t, l.Push(at(1), 2), nil) // finds its key again
	check(t, l.Mark(end), nil)
	check(t, l.Rows, []full{row})
}

func TestKeyThatIsNotUTF8IsAnError(t *testing.T) {
	l := open(t, by("\xff", 0), nil)
	check(t, l.Push(at(0), 1), nil)
	if _, err := l.Snapshot(); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Fatal(err)
	}
}

type (
	hidden struct{ _ int }
	dashed struct {
		N int `json:"-"`
	}
	loose struct{ V any }
	stamp struct{ time.Time } // its only field: nothing is lost
	mixed struct {
		time.Time
		N int
	}
	linked struct {
		N    int
		Next *linked
	}
	ptrKey struct{ P *int }
)

func TestTypesThatDoNotComeBackAreRefused(t *testing.T) {
	refused := func(name string, open func() error) {
		t.Helper()
		if err := open(); err == nil || !strings.Contains(err.Error(), "cannot be kept between commits") {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused("unexported", try(by(1, hidden{})))
	refused("tagged", try(by(1, dashed{})))
	refused("interface", try(by(1, loose{})))
	refused("nested", try(by(1, map[string][]*loose{})))
	refused("function", try(by(1, func() {})))
	refused("channel", try(by(1, struct{ C chan int }{})))
	refused("complex", try(by(1, 1i)))
	refused("key", try(by(hidden{}, 1)))
	refused("interface key", try(by[any](1, 1)))
	refused("pointer key", try(by(new(int), 1)))
	refused("key with a pointer", try(by([1]ptrKey{}, 1)))
	refused("promoted JSON", try(by(1, mixed{})))
	for name, err := range map[string]error{"stamp": try(by(1, stamp{}))(), "recursive": try(by(1, linked{}))(), "time key": try(by(time.Time{}, 1))()} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func try[A, B any](st stage.Stage[A, B]) func() error {
	return func() error {
		l, err := stagetest.Open(st, nil)
		if err == nil {
			l.Close()
		}
		return err
	}
}

type deepFloat struct{ In struct{ N float64 } }
type deepInt struct{ In struct{ N int } }
type tagged struct {
	N int `json:"n"`
}
type renamedInner inner

func TestChangedShapeIsRefusedWithRemedy(t *testing.T) {
	for name, c := range map[string]struct {
		state shardlake.Kept
		next  func(shardlake.Kept) error
	}{
		"field":  {kept(t, stage.Named("s", by("k", inner{})), 1), reopen(stage.Named("s", by("k", struct{ N float64 }{})))},
		"key":    {kept(t, stage.Named("s", by("k", inner{})), 1), reopen(stage.Named("s", by(1, inner{})))},
		"nested": {kept(t, stage.Named("s", by("k", deepInt{})), 1), reopen(stage.Named("s", by("k", deepFloat{})))},
		"slices": {kept(t, stage.Named("s", by("k", []deepInt{})), 1), reopen(stage.Named("s", by("k", []deepFloat{})))},
		"tag":    {kept(t, stage.Named("s", by("k", inner{})), 1), reopen(stage.Named("s", by("k", tagged{})))},
		"size": {kept(t, stage.Named("s", by("k", inner{})), 1), reopen(stage.Named("s", stage.Aggregate(window.Tumbling(time.Hour).Grace(0),
			func(int) string { return "" }, func(string, window.Span) inner { return inner{} }, func(*inner, int) {})))},
	} {
		if err := c.next(c.state); err == nil || !strings.Contains(err.Error(), "stage.Named") || !strings.Contains(err.Error(), `"s"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A renamed type of the same shape fits, at any depth.
	check(t, reopen(stage.Named("s", by("k", []renamedInner{})))(kept(t, stage.Named("s", by("k", []inner{})), 1)), nil)
	for _, bad := range []string{`{}`, `nonsense`, `{"Schema":"x"}`} {
		if err := reopen(by("k", inner{}))(shardlake.Kept{"aggregate inner\x001": []byte(bad)}); err == nil {
			t.Errorf("%s is taken for a state", bad)
		}
	}
}

func reopen[A, B any](st stage.Stage[A, B]) func(shardlake.Kept) error {
	return func(state shardlake.Kept) error {
		l, err := stagetest.Open(st, state)
		if err == nil {
			l.Close()
		}
		return err
	}
}

// total is a stage written on the public contract, with state.
type total struct {
	shardlake.Emit[int]
	Sum int
}

func (s *total) Push(ctx context.Context, b shardlake.Batch[int]) error {
	for i := range b.Rows {
		s.Sum += b.Rows[i]
		b.Rows[i] = s.Sum
	}
	return s.Emit.Push(ctx, b)
}
func (s *total) Schema() string { return "a number" }
func (s *total) Bytes() int64   { return 8 }
func (s *total) Snapshot(_ bool, put func(shardlake.Entry)) error {
	put(shardlake.Entry{Key: []byte("sum"), Value: strconv.AppendInt(nil, int64(s.Sum), 10)})
	return nil
}
func (s *total) Restore(_ string, e shardlake.Entry, _ bool) (err error) {
	s.Sum, err = strconv.Atoi(string(e.Value))
	return err
}
func sum(env *shardlake.Env, next shardlake.Emit[int]) (shardlake.Emit[int], error) {
	s := &total{Emit: next}
	return s, env.Keep("total", s)
}

func TestStateFollowsTheNameNotThePlace(t *testing.T) {
	if _, err := stagetest.Run(stage.Stage[int, int](sum).Then(sum), 1); err == nil || !strings.Contains(err.Error(), "stage.Named") {
		t.Fatal(err)
	}
	a, b, twice := stage.Named("a", sum), stage.Named("b", sum), stage.Map(func(n int) int { return 2 * n })
	state := kept(t, a.Then(twice).Then(b), 1, 2)
	check(t, names(state), []string{"a", "b"})
	l := open(t, b.Then(twice).Then(a), state) // deployed in another order
	check(t, l.Push(at(0), 0), nil)
	check(t, l.Rows, []int{16 + 3})
	nested := kept(t, stage.Named("out", stage.Named("in", sum)), 5)
	check(t, names(nested), []string{"out/in"})
}

// names are those of the states that are kept.
func names(kept shardlake.Kept) (all []string) {
	for key := range kept {
		name, _, _ := strings.Cut(key, "\x00")
		all = append(all, name)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
