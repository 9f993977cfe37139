package source_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/source"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// drain reads a lane to its end: the records and the size of each fetch.
func drain[T any](t *testing.T, s source.Source[T], lane string, after shardlake.Position) (records []shardlake.Record, sizes []int) {
	t.Helper()
	f, err := s.Open(source.Lane{ID: lane}, source.Start{After: after, Begin: shardlake.Never})
	check(t, err)
	for {
		c, err := f.Fetch(t.Context())
		records = append(records, c.Records...)
		if len(c.Records) > 0 {
			sizes = append(sizes, len(c.Records))
		}
		if errors.Is(err, io.EOF) {
			if _, err := f.Fetch(t.Context()); !errors.Is(err, io.EOF) {
				t.Errorf("after the end: %v", err)
			}
			check(t, f.Close())
			return records, sizes
		}
		check(t, err)
	}
}

func decode[T any](t *testing.T, s source.Source[T], records []shardlake.Record) (rows []T) {
	t.Helper()
	rows = make([]T, len(records))
	d, err := s.Decoder()
	check(t, err)
	_, err = d.Decode(t.Context(), records, rows, make([]shardlake.Instant, len(records)))
	if len(records) > 0 {
		check(t, err)
	}
	return rows
}

func decodeOne[T any](d source.Decoder[T], r shardlake.Record, row *T) (shardlake.Instant, error) {
	rows, times := make([]T, 1), make([]shardlake.Instant, 1)
	_, err := d.Decode(context.Background(), []shardlake.Record{r}, rows, times)
	*row = rows[0]
	return times[0], err
}

func TestValuesResumeAtEveryPosition(t *testing.T) {
	lanes := [][]int{make([]int, 25), {}, {7}, nil, make([]int, 10)}
	for i := range lanes {
		for k := range lanes[i] {
			lanes[i][k] = 1000*i + k
		}
	}
	for _, fetch := range []int{1, 2, 3, 10, 24, 25, 26, 1000} {
		s := source.Lanes(lanes...).Fetching(fetch)
		check(t, s.Check())
		for n, rows := range lanes {
			lane := "values-" + strconv.Itoa(n)
			all, sizes := drain(t, s, lane, shardlake.Position{})
			if got := decode(t, s, all); !slices.Equal(got, rows) {
				t.Fatalf("lane %s by %d: %v, want %v", lane, fetch, got, rows)
			}
			for _, size := range sizes {
				if size > fetch {
					t.Errorf("a fetch of %d rows, want at most %d", size, fetch)
				}
			}
			last := shardlake.Position{}
			for i, r := range all {
				if r.Pos.Compare(last) <= 0 {
					t.Errorf("position %v after %v", r.Pos, last)
				}
				last = r.Pos
				rest, _ := drain(t, s, lane, r.Pos)
				if got := decode(t, s, rest); !slices.Equal(got, rows[i+1:]) {
					t.Fatalf("lane %s by %d after %v: %v, want %v", lane, fetch, r.Pos, got, rows[i+1:])
				}
			}
		}
	}
}

func TestValuesListing(t *testing.T) {
	for name, s := range map[string]*source.Slices[int]{
		"values": source.Lanes([]int{1}, nil, []int{2}),
		"orders": source.Lanes([]int{1}, nil, []int{2}).Called("orders"),
	} {
		l, err := s.Lanes(t.Context())
		check(t, err)
		if l.Name != name || l.Identity != name || l.Begin != shardlake.Never || len(l.Lanes) != 3 {
			t.Errorf("%s: %+v", name, l)
		}
		for i, lane := range l.Lanes {
			if lane.ID != fmt.Sprintf("%s-%d", name, i) || len(lane.Parents) != 0 {
				t.Errorf("%s: lane %+v", name, lane)
			}
			if _, err := s.Open(lane, source.Start{}); err != nil {
				t.Error(err)
			}
		}
	}
	l, err := source.Lanes[int]().Lanes(t.Context())
	check(t, err)
	if len(l.Lanes) != 0 {
		t.Errorf("no slices, yet %v", l.Lanes)
	}
	rows, _ := drain(t, source.Values[int](), "values-0", shardlake.Position{})
	if len(rows) != 0 {
		t.Errorf("no rows, yet %v", rows)
	}
}

func TestValuesWrongLanesAndPositions(t *testing.T) {
	s := source.Lanes([]int{1, 2, 3}, []int{4}).Called("in")
	for _, lane := range []string{"", "in", "in-2", "in--1", "in-00", "values-0", "in-0 "} {
		if _, err := s.Open(source.Lane{ID: lane}, source.Start{}); err == nil {
			t.Errorf("lane %q: opened", lane)
		}
	}
	for _, p := range []shardlake.Position{
		{Seq: "4"}, {Seq: "0"}, {Seq: "-1"}, {Seq: "+1"}, {Seq: "01"}, {Seq: "1.0"}, {Seq: "x"}, {Seq: " 1"},
		{Seq: "49590338271490256608559692538361571095921575989136588898"}, {Seq: "9223372036854775808"},
		{Seq: "1", Sub: 1}, {Seq: "1", Partial: true},
	} {
		if _, err := s.Open(source.Lane{ID: "in-0"}, source.Start{After: p}); err == nil {
			t.Errorf("position %+v: opened", p)
		}
	}
	if _, err := s.Open(source.Lane{ID: "in-1"}, source.Start{After: shardlake.Position{Seq: "2"}}); err == nil {
		t.Error("a position of another lane: opened")
	}
}

func TestValuesCheck(t *testing.T) {
	for name, s := range map[string]*source.Slices[int]{
		"0 a fetch": source.Values(1).Fetching(0), "-1 a fetch": source.Values(1).Fetching(-1), "no name": source.Values(1).Called(""),
	} {
		if s.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	check(t, source.Values[int]().Check())
}

func TestValuesKeyAndTime(t *testing.T) {
	type row struct {
		user string
		at   time.Time
	}
	when := time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.FixedZone("", 3600))
	lanes := [][]row{{{"a", when}, {"b", time.Unix(-1, 0)}}, {{"", when}}}
	plain := source.Lanes(lanes...)
	full := source.Lanes(lanes...).Keyed(func(r row) string { return r.user }).At(func(r row) time.Time { return r.at })
	for n, rows := range lanes {
		lane := "values-" + strconv.Itoa(n)
		records, _ := drain(t, plain, lane, shardlake.Position{})
		for _, r := range records {
			if at, err := decodeOne(plain, r, new(row)); r.Key != strconv.Itoa(n) || at != 0 || err != nil {
				t.Errorf("by default: key %q at %v, %v", r.Key, at, err)
			}
		}
		records, _ = drain(t, full, lane, shardlake.Position{})
		for i, r := range records {
			if at, err := decodeOne(full, r, new(row)); r.Key != rows[i].user || at != shardlake.At(rows[i].at) || err != nil {
				t.Errorf("key %q at %v, %v; want %v", r.Key, at, err, rows[i])
			}
		}
	}
}

// All lanes share Decode, and a record may outlive its fetch.
func TestValuesConcurrentLanes(t *testing.T) {
	lanes := make([][]int, 300) // beyond one byte
	for i := range lanes {
		for k := range 300 {
			lanes[i] = append(lanes[i], i*1000+k)
		}
	}
	s := source.Lanes(lanes...).Fetching(7)
	for g := range 4 {
		t.Run(strconv.Itoa(g), func(t *testing.T) {
			t.Parallel()
			for n := g * 75; n < g*75+75; n++ {
				records, _ := drain(t, s, "values-"+strconv.Itoa(n), shardlake.Position{})
				if got := decode(t, s, records); !slices.Equal(got, lanes[n]) {
					t.Errorf("lane %d: %v", n, got)
				}
			}
		})
	}
}

func TestValuesForeignRecordIsRefused(t *testing.T) {
	s := source.Values(1, 2)
	for _, data := range []string{"", "{}", "12345678", "\x01\x00\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x02\x00\x00\x00\x00", "\xff\xff\xff\xff\xff\xff\xff\xff", "\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
		var v int
		if _, err := decodeOne(s, shardlake.Record{Data: []byte(data)}, &v); err == nil {
			t.Errorf("record %q: row %v", data, v)
		}
	}
}

func TestValuesCancelledFetchLosesNothing(t *testing.T) {
	s := source.Values(1, 2, 3).Fetching(2)
	f, err := s.Open(source.Lane{ID: "values-0"}, source.Start{})
	check(t, err)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err := f.Fetch(done); !errors.Is(err, context.Canceled) || len(c.Records) != 0 {
		t.Errorf("%v, %v", c, err)
	}
	c, err := f.Fetch(t.Context())
	check(t, err)
	if got := decode(t, s, c.Records); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("rows %v", got)
	}
	if c.Behind >= 0 {
		t.Errorf("behind by %v, want unknown", c.Behind)
	}
}

// A source of two rows, read from behind its first row.
func ExampleValues() {
	type order struct {
		ID   string
		Time time.Time
	}
	day := time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)
	s := source.Values(order{"o-1", day}, order{"o-2", day.Add(time.Hour)}).
		Called("orders").
		At(func(o order) time.Time { return o.Time }).
		Keyed(func(o order) string { return o.ID })

	f, err := s.Open(source.Lane{ID: "orders-0"}, source.Start{After: shardlake.Position{Seq: "1"}})
	if err != nil {
		log.Fatal(err)
	}
	c, err := f.Fetch(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range c.Records {
		var o order
		at, err := decodeOne(s, r, &o)
		fmt.Println(r.Pos, r.Key, o.ID, at, err)
	}
	_, err = f.Fetch(context.Background())
	fmt.Println(err)
	// Output:
	// 2.0 o-2 o-2 2024-05-01T01:00:00Z <nil>
	// EOF
}
