package stage_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/stagetest"
)

// memory is the state of a key in these tests.
type memory struct{ Rows, Wakes, Last int }

func (m *memory) Merge(o memory) { m.Rows, m.Wakes, m.Last = m.Rows+o.Rows, m.Wakes+o.Wakes, o.Last }

// told is a row of them.
type told struct {
	Key       string
	Woken     bool
	Time      shardlake.Instant
	Watermark shardlake.Instant
	memory
}

type (
	tellRow  = func(*stage.Cell[string, memory, told], input) error
	tellWake = func(*stage.Cell[string, memory, told]) error
)

// whims make a key sleep, wake in the past or future, forget itself and come again.
func whims() (tellRow, tellWake) {
	tell := func(c *stage.Cell[string, memory, told], woken bool) {
		c.Emit(told{c.Key(), woken, c.Time(), c.Watermark(), *c.State()})
	}
	return func(c *stage.Cell[string, memory, told], i input) error {
			c.State().Rows++
			c.State().Last = i.id
			switch i.id % 11 {
			case 0, 1, 2, 3:
				c.Wake(c.Time() + sec(i.id%40))
			case 4:
				c.Wake(c.Watermark() - sec(500))
			case 5:
				c.Sleep()
			case 6:
				c.Wake(c.Time() + sec(5))
				c.Forget()
			case 7:
				tell(c, false)
				return shardlake.ErrSkip // what was told is dropped
			case 8:
				c.Wake(shardlake.Forever)
			}
			tell(c, false)
			return nil
		}, func(c *stage.Cell[string, memory, told]) error {
			c.State().Wakes++
			tell(c, true)
			switch {
			case c.State().Wakes%5 == 0:
				c.Forget()
			case c.State().Wakes%2 == 0:
				c.Wake(c.Time() + sec(c.State().Last%30+1))
			}
			return nil
		}
}

// plainWhims is the same, one key after the other.
func plainWhims(in []input, key string) (out []told) {
	const never = shardlake.Forever
	var m memory
	wake := never
	tell := func(woken bool, at, mark shardlake.Instant) { out = append(out, told{key, woken, at, mark, m}) }
	due := func(high shardlake.Instant, once bool) {
		for wake <= high && wake != never {
			at := wake
			wake = never
			m.Wakes++
			tell(true, at, at)
			switch {
			case m.Wakes%5 == 0:
				m = memory{}
			case m.Wakes%2 == 0:
				wake = at + sec(m.Last%30+1)
			}
			if once {
				return
			}
		}
	}
	high := shardlake.Never
	for _, i := range in {
		high = sec(i.high)
		if i.key != key {
			continue
		}
		due(high, false)
		m.Rows++
		m.Last = i.id
		next := func(at shardlake.Instant) { wake = max(at, high+1) }
		switch i.id % 11 {
		case 0, 1, 2, 3:
			next(sec(i.at) + sec(i.id%40))
		case 4:
			next(high - sec(500))
		case 5:
			wake = never
		case 6:
			tell(false, sec(i.at), high)
			m, wake = memory{}, never
			continue
		case 7:
			continue
		case 8:
			next(shardlake.MaxEventTime)
		}
		tell(false, sec(i.at), high)
	}
	due(high, false)
	due(shardlake.MaxEventTime, true)
	return out
}

// byKey sorts out rows by their keys: each key's are in order.
func byKey(rows []told) map[string][]told {
	out := map[string][]told{}
	for _, r := range rows {
		out[r.Key] = append(out[r.Key], r)
	}
	return out
}

// Keyed against a loop, however its input is cut and its owners follow each other.
func TestKeyedAgainstPlainLoop(t *testing.T) {
	seeds(t, 60, func(t *testing.T, r *rand.Rand) {
		in := disorder(r, 200, 4, 50)
		row, wake := whims()
		want := map[string][]told{}
		for _, k := range []string{"a", "b", "c", "d"} {
			want[k] = plainWhims(in, k)
		}
		for _, c := range courses(r) {
			o := run(t, r, stage.Keyed(input.user, row, wake), in, ownKey, c)
			if got := byKey(o.rows); fmt.Sprint(got) != fmt.Sprint(want) {
				for k := range want {
					if g, w := fmt.Sprint(got[k]), fmt.Sprint(want[k]); g != w {
						t.Fatalf("%+v: key %s:\n%s\nwant\n%s", c, k, g, w)
					}
				}
			}
			for i, v := range o.rows {
				if o.times[i] != v.Time || o.homes[i] != v.Key {
					t.Fatalf("%v came at %v under %q", v, o.times[i], o.homes[i])
				}
			}
		}
	})
}

// Dedup against a loop: a key passes again once the watermark is the time to live
// beyond it, not a microsecond before.
func TestDedupAgainstPlainLoop(t *testing.T) {
	seeds(t, 40, func(t *testing.T, r *rand.Rand) {
		ttl := 1 + r.IntN(50)
		in := disorder(r, 250, 5, 30)
		until, want := map[string]int{}, []input(nil)
		for _, v := range in {
			if u, ok := until[v.key]; !ok || u <= v.high {
				until[v.key] = max(v.at, v.high) + ttl
				want = append(want, v)
			}
		}
		check(t, same(t, r, stage.Dedup(input.user, seconds(ttl)), in, ownKey).rows, want)
	})
}

// A wish for the end of time is granted at the end of the input, at a time that has a
// place in a file.
func TestWakeAtTheEnd(t *testing.T) {
	l := open(t, stage.Keyed(input.user, func(c *stage.Cell[string, int, shardlake.Instant], _ input) error {
		c.Wake(shardlake.Forever)
		return nil
	}, func(c *stage.Cell[string, int, shardlake.Instant]) error {
		c.Emit(c.Time())
		c.Wake(shardlake.Forever)
		return nil
	}), nil)
	check(t, l.Push(at(0), input{key: "a"}), nil)
	check(t, l.Mark(shardlake.Mark{Watermark: shardlake.MaxEventTime - 1}), nil)
	check(t, len(l.Rows), 0)
	check(t, l.Mark(end), nil)
	check(t, l.Rows, []shardlake.Instant{shardlake.MaxEventTime})
}

// Whatever of a user's panics is told with stage, lane and position.
func TestKeyedAndDedupPanicsAreErrors(t *testing.T) {
	fine := func(*stage.Cell[int, int, int], int) error { return nil }
	wakeful := func(c *stage.Cell[int, int, int], _ int) error { c.Wake(1); return nil }
	key := func(n int) int { return n }
	for name, st := range map[string]stage.Stage[int, int]{
		"keyed key":  stage.Keyed(explode, fine, nil),
		"keyed row":  stage.Keyed(key, func(c *stage.Cell[int, int, int], n int) error { *c.State() = explode(n); return nil }, nil),
		"keyed wake": stage.Keyed(key, wakeful, func(c *stage.Cell[int, int, int]) error { *c.State() = explode(c.Key()); return nil }),
		"wake error": stage.Keyed(key, wakeful, func(*stage.Cell[int, int, int]) error { return errors.New("panic: no") }),
		"wake back":  stage.Keyed(key, wakeful, func(c *stage.Cell[int, int, int]) error { c.Wake(c.Time()); return errors.New("panic: no") }),
		"dedup key":  stage.Dedup(explode, time.Hour),
	} {
		_, err := stagetest.Run(st, 1, 4)
		if err == nil || !strings.Contains(err.Error(), "lane test, position 2.0: ") || !strings.Contains(err.Error(), "panic: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A panic of a stage behind is not told as one of the stage that gave it rows.
func TestKeyedDoesNotAnswerForOthers(t *testing.T) {
	st := stage.Keyed(func(n int) int { return n }, func(c *stage.Cell[int, int, int], n int) error {
		for range 5000 {
			c.Emit(n)
		}
		return nil
	}, nil)
	bad := stage.Stage[int, int](func(*shardlake.Env, shardlake.Emit[int]) (shardlake.Emit[int], error) { return bomb{}, nil })
	defer func() {
		if recover() == nil {
			t.Error("the panic of another stage was taken for one's own")
		}
	}()
	_, err := stagetest.Run(st.Then(bad), 1)
	t.Error(err)
}

// bomb is a stage with a mistake of its own.
type bomb struct{ shardlake.Emit[int] }

func (bomb) Push(context.Context, shardlake.Batch[int]) error { panic("of another stage") }
