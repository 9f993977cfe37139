package shardlake_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
)

func TestPositionOrder(t *testing.T) {
	sorted := []shardlake.Position{{}, {Seq: "0"}, {Seq: "9"}, {Seq: "9", Sub: 1}, {Seq: "9", Sub: 10}, {Seq: "10"}, {Seq: "11"},
		{Seq: strings.Repeat("8", 128)}, {Seq: strings.Repeat("9", 128)}}
	for i, p := range sorted {
		for j, q := range sorted {
			if got := p.Compare(q); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%v against %v: %d", p, q, got)
			}
		}
	}
	if p := (shardlake.Position{Seq: "12", Sub: 3}); p.String() != "12.3" || p.IsStart() {
		t.Error(p)
	}
	if p := (shardlake.Position{}); p.String() != "start" || !p.IsStart() {
		t.Error(p)
	}
}

func TestInstant(t *testing.T) {
	for text, i := range map[string]shardlake.Instant{
		"0000-01-01T00:00:00Z":        shardlake.MinEventTime,
		"9999-12-31T23:59:59.999999Z": shardlake.MaxEventTime,
		"1970-01-01T00:00:00Z":        0,
		"1969-12-31T23:59:59.999999Z": -1,
		"never":                       shardlake.Never,
		"forever":                     shardlake.Forever,
	} {
		if i.String() != text {
			t.Errorf("%s, want %s", i, text)
		}
		if at := i.Time(); at.Location() != time.UTC || i != shardlake.Never && i != shardlake.Forever && shardlake.At(at) != i {
			t.Errorf("%s comes back as %s", i, at)
		}
	}
	// Cut down to the microsecond, before 1970 too, whatever the zone.
	if got := shardlake.At(time.Unix(0, -1).In(time.FixedZone("", 3600))); got != -1 {
		t.Error(got)
	}
	if got := shardlake.At(time.Unix(0, 1999)); got != 1 {
		t.Error(got)
	}
	if !shardlake.Never.Time().IsZero() || !shardlake.Forever.Time().Equal(shardlake.MaxEventTime.Time()) {
		t.Error("Never or Forever")
	}
	for _, d := range []time.Duration{0, time.Hour, -time.Hour, math.MaxInt64} {
		if shardlake.Never.Sub(d) != shardlake.Never || shardlake.Forever.Sub(d) != shardlake.Forever {
			t.Error(d)
		}
	}
	if got := shardlake.Instant(5).Sub(7 * time.Microsecond); got != -2 {
		t.Error(got)
	}
}

// settle gives err for one record and returns the answer and the dead letters.
func settle(t *testing.T, place bool, err error) ([]shardlake.DeadLetter, error) {
	t.Helper()
	var dead []shardlake.DeadLetter
	h := shardlake.Host{Source: "clicks", Lane: "shardId-7"}
	if place {
		h.Dead = func(_ context.Context, _ *shardlake.Record, d shardlake.DeadLetter) error {
			dead = append(dead, d)
			return nil
		}
	}
	env := shardlake.NewEnv(t.Context(), h)
	t.Cleanup(env.Close)
	r := &shardlake.Record{Pos: shardlake.Position{Seq: "42", Sub: 1}, Key: "k\xff", Arrived: 1e6, Data: []byte{0xff}}
	err = env.In("parse").Settle(t.Context(), "map(f)", r, err)
	return dead, err
}

func wrap(err error) error { return fmt.Errorf("wrapped: %w", err) }

func TestSettle(t *testing.T) {
	broken := errors.New("broken")
	for _, err := range []error{shardlake.ErrSkip, wrap(shardlake.ErrSkip), errors.Join(broken, shardlake.ErrSkip)} {
		if dead, got := settle(t, false, err); got != nil || dead != nil {
			t.Errorf("%v: %v %v", err, got, dead)
		}
	}
	for _, err := range []error{shardlake.Reject(broken), wrap(shardlake.Reject(broken))} {
		dead, got := settle(t, true, err)
		if got != nil || len(dead) != 1 {
			t.Fatalf("%v: %v %v", err, got, dead)
		}
		d := dead[0]
		if d.Source != "clicks" || d.Lane != "shardId-7" || d.Seq != "42" || d.Sub != 1 || d.Key != "k\uFFFD" || d.Stage != "parse" ||
			d.Reason != "broken" || !d.Arrived.Equal(time.Unix(1, 0)) || !slices.Equal(d.Data, []byte{0xff}) {
			t.Errorf("%+v", d)
		}
		// Without a place for dead letters a refused row stops the lane.
		_, got = settle(t, false, err)
		if e, ok := errors.AsType[*shardlake.Error](got); !ok || !errors.Is(got, broken) || !strings.Contains(e.Remedy, "Dead()") {
			t.Errorf("%v", got)
		}
	}
	for _, err := range []error{broken, wrap(broken)} {
		dead, got := settle(t, true, err)
		e, ok := errors.AsType[*shardlake.Error](got)
		if !ok || dead != nil || !errors.Is(got, broken) || e.Stage != "parse" || e.Lane != "shardId-7" || e.Pos.String() != "42.1" || e.Remedy == "" {
			t.Errorf("%v", got)
		}
		if _, again := settle(t, true, got); again != got {
			t.Errorf("an error that tells its place is told another: %v", again)
		}
	}
}

func TestReasonIsShortened(t *testing.T) {
	for _, c := range []struct{ reason, want string }{
		{strings.Repeat("x", 1024), strings.Repeat("x", 1024)},
		{strings.Repeat("x", 1025), strings.Repeat("x", 1021) + "..."},
		{strings.Repeat("x", 10<<20), strings.Repeat("x", 1021) + "..."},
		{"a\xffb", "a\uFFFDb"},
	} {
		dead, _ := settle(t, true, shardlake.Reject(errors.New(c.reason)))
		if len(dead) != 1 || dead[0].Reason != c.want {
			t.Errorf("%d bytes: %v", len(c.reason), dead)
		}
	}
}

func TestBatchCloneAndCut(t *testing.T) {
	b := shardlake.Batch[int]{Rows: []int{1, 2, 3}, Origins: []shardlake.Origin{{Record: 1}, {Record: 0}, {Record: 1}},
		Records: []shardlake.Record{{Key: "a"}, {Key: "b"}}}
	c := b.Clone()
	c.Rows[0], c.Origins[0].Record = 9, 0
	if b.Rows[0] != 1 || b.From(0).Key != "b" || c.From(0).Key != "a" {
		t.Error("a clone shares rows or origins")
	}
	if d := b.Cut(1, 3); !slices.Equal(d.Rows, []int{2, 3}) || d.From(0).Key != "a" || d.From(1).Key != "b" {
		t.Error(d)
	}
}

func TestFileNames(t *testing.T) {
	for lane, short := range map[string]string{"shardId-000000000012": "12", "shardId-000000000000": "0", "": "x", "a/b": "x", "1234567890123": "x"} {
		a := shardlake.Attempt{Lane: lane, Tag: "0123456789", Number: 7, Fence: 3, ID: "fedcba9876543210"}
		if got, want := a.FileName(2, "parquet"), "sl-0123456789-"+short+"-0000000007-000003-fedcba9876543210-002.parquet"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
