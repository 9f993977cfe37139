package stage_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// wants checks that an error says all of some things.
func wants(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not tell %s", err, text)
		}
	}
}

// oldRow had one field, newRow has two others.
type oldRow struct{ N int }

func (o *oldRow) Merge(other oldRow) { o.N += other.N }

type newRow struct {
	Count  int64
	Longer string
}

func (n *newRow) Merge(other newRow) { n.Count += other.Count }

// Migrate reads an oldRow.
func (n *newRow) Migrate(schema string, old []byte) error {
	if !strings.Contains(schema, "N:int") {
		return fmt.Errorf("unknown: %s", schema)
	}
	var o oldRow
	if err := json.Unmarshal(old, &o); err != nil {
		return err
	}
	*n = newRow{int64(o.N), "migrated"}
	return nil
}

// brokenRow has a Migrate that panics.
type brokenRow struct{ Other bool }

func (*brokenRow) Migrate(string, []byte) error { panic("what is that?") }

// rowless has other fields and no Migrate.
type rowless struct{ F float64 }

func (*rowless) Merge(rowless) {}

func windows[Row any](w window.Window, fold func(*Row)) stage.Stage[input, Row] {
	return stage.Named("s", stage.Aggregate(w, input.user, func(string, window.Span) (r Row) { return r }, func(r *Row, _ input) { fold(r) }))
}

func keyedBy[S any](row func(*S)) stage.Stage[input, S] {
	return stage.Named("s", stage.Keyed(input.user, func(c *stage.Cell[string, S, S], _ input) error {
		row(c.State())
		c.Wake(c.Time() + sec(100))
		return nil
	}, func(c *stage.Cell[string, S, S]) error { c.Emit(*c.State()); return nil }))
}

// What was kept with other fields is read by Migrate, goes on, and is kept anew.
func TestMigrate(t *testing.T) {
	old, next := func(r *oldRow) { r.N++ }, func(r *newRow) { r.Count++ }
	tumbling, sessions := window.Tumbling(time.Minute).Grace(0), window.Sessions(time.Minute).Grace(0)
	for name, c := range map[string]struct {
		before stage.Stage[input, oldRow]
		after  stage.Stage[input, newRow]
		broken stage.Stage[input, brokenRow]
		none   stage.Stage[input, rowless]
	}{
		"tumbling": {windows(tumbling, old), windows(tumbling, next), windows(tumbling, func(*brokenRow) {}), windows(tumbling, func(*rowless) {})},
		"sessions": {windows(sessions, old), windows(sessions, next), nil, windows(sessions, func(*rowless) {})},
		"keyed":    {keyedBy(old), keyedBy(next), keyedBy(func(*brokenRow) {}), keyedBy(func(*rowless) {})},
	} {
		t.Run(name, func(t *testing.T) {
			state := kept(t, c.before, input{key: "a"}, input{key: "a"}, input{key: "b"})
			l := open(t, c.after, state)
			check(t, l.Push(at(1), input{key: "a"}), nil)
			state2, err := l.Snapshot()
			check(t, err, nil)
			l = open(t, c.after, state2)
			check(t, l.Mark(end), nil)
			check(t, l.Rows, rotated(l.Rows, newRow{3, "migrated"}, newRow{1, "migrated"}))
			// The same after a division: what is inherited is read too.
			heir, err := shardlake.Divide([]shardlake.Parent{{State: state}}, shardlake.HashRange{})
			check(t, err, nil)
			l = open(t, c.after, heir)
			check(t, l.Mark(end), nil)
			check(t, l.Rows, []newRow{{2, "migrated"}, {1, "migrated"}})
			if c.broken != nil {
				wants(t, reopen(c.broken)(state), `"s"`, "panic: what is that?", "Migrate")
			}
			wants(t, reopen(c.none)(state), `"s"`, "stage.Named", "a method Migrate", "let the old program finish")
			wants(t, reopen(c.after)(kept(t, c.none, input{key: "a"})), `"s"`, "unknown: ")
		})
	}
	// Other windows, or another kind of state, are nothing that Migrate could read.
	state := kept(t, windows(tumbling, old), input{key: "a"})
	wants(t, reopen(windows(sessions, next))(state), `"s"`, "stage.Named")
	wants(t, reopen(windows(window.Tumbling(time.Hour).Grace(0), next))(state), `"s"`, "stage.Named")
	wants(t, reopen(keyedBy(next))(state), `"s"`, "stage.Named")
	wants(t, reopen(stage.Named("s", stage.Dedup(input.user, time.Hour)))(state), `"s"`, "stage.Named")
}

// rotated is what is wanted, in the order in which keys come out: that of their times.
func rotated(got []newRow, a, b newRow) []newRow {
	if len(got) > 0 && got[0] == b {
		return []newRow{b, a}
	}
	return []newRow{a, b}
}

type (
	deep     struct{ N int }
	embedded struct {
		deep
		M int
	}
	Deep   struct{ N int }
	byName struct {
		Deep Deep
		M    int
	}
	within struct {
		Deep
		M int
	}
	hides struct {
		Deep
		N int
	}
	twins struct {
		Deep
		Other Deep `json:"N"`
	}
	halfJSON struct{ N int }
	badKeys  struct{ M map[bool]int }
)

func (halfJSON) MarshalJSON() ([]byte, error) { return []byte("1"), nil }

// What an embedded struct holds lies elsewhere in JSON than what a field does.
func TestEmbeddedIsNotNamed(t *testing.T) {
	st := func() stage.Stage[int, within] { return stage.Named("s", by("k", within{Deep{7}, 8})) }
	state := kept(t, st(), 1)
	check(t, reopen(st())(state), nil)
	wants(t, reopen(stage.Named("s", by("k", byName{})))(state), "stage.Named")
	for name, err := range map[string]error{"unexported": try(by(1, embedded{}))(), "hidden": try(by(1, hides{}))(), "twins": try(by(1, twins{}))(),
		"half": try(by(1, halfJSON{}))(), "nested": try(by(1, []map[string]hides{}))(), "keys": try(by(1, badKeys{}))(), "a key": try(by(hides{}, 1))()} {
		if err == nil || !strings.Contains(err.Error(), "cannot be kept between commits") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
