package main

import (
	"context"
	"errors"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake/benchmarks/intake/canned"
	"github.com/shardlake/shardlake/benchmarks/intake/round"
)

// Every side does the same work in every case: otherwise there is nothing to compare.
func TestSidesDoTheSame(t *testing.T) {
	srv := httptest.NewServer(new(canned.Server))
	defer srv.Close()
	s := canned.Stream{Shards: 3, Answers: 2, Records: 70}
	for _, c := range contests() {
		var want round.Outcome
		for i, l := range c.lots {
			side, ok := sides()[l.side]
			if !ok {
				continue // a program of its own, with tests of its own
			}
			folder := t.TempDir()
			for _, e := range settings(srv.URL, folder) {
				name, value, _ := strings.Cut(e, "=")
				t.Setenv(name, value)
			}
			out, err := round.Round{Side: l.side, Work: c.work, Stream: s.String(), Folder: folder}.Run(t.Context(), side, "")
			if err == nil && c.work == round.ToParquet {
				out.Rows, err = rowsIn(folder)
			}
			if err != nil {
				t.Fatalf("%s, %s: %v", c.work, l.side, err)
			}
			if i == 0 {
				want = out
			}
			if out.Records != s.Total() || out.Bytes != want.Bytes || out.Rows != want.Rows || (out.Rows == 0) != (c.work == round.ToRecords) || out.Resident == 0 {
				t.Errorf("%s, %s: %+v, the first side %+v", c.work, l.side, out, want)
			}
		}
	}
}

// A round that does not get all records is an error, not a cheap round.
func TestMissingRecordsAreAnError(t *testing.T) {
	none := func(context.Context, *round.Job) (round.Outcome, error) { return round.Outcome{Records: 5}, nil }
	for want, r := range map[string]round.Round{
		"5 records came": {Work: round.ToRows, Stream: "clicks-1-1-6"},
		"no case":        {Work: "cakes", Stream: "clicks-1-1-5"},
		"want clicks-":   {Work: round.ToRows, Stream: "orders"},
	} {
		if _, err := r.Run(t.Context(), none, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := (round.Round{Work: round.ToRows, Stream: "clicks-1-1-5"}).Run(t.Context(), none, ""); err != nil {
		t.Error(err)
	}
	failing := func(context.Context, *round.Job) (round.Outcome, error) { return round.Outcome{}, errAll }
	if _, err := (round.Round{Work: round.ToRows, Stream: "clicks-1-1-5"}).Run(t.Context(), failing, ""); !errors.Is(err, errAll) {
		t.Error(err)
	}
}

// A child's environment has neither settings of the machine's nor of the caller's.
func TestEnvironmentIsClean(t *testing.T) {
	got := environment([]string{"AWS_PROFILE=x", "PATH=/bin", "GOGC=off", "GOMEMLIMIT=1GiB", "HOME=/", "GOMAXPROCS=64"})
	if strings.Join(got, " ") != "PATH=/bin HOME=/" {
		t.Error(got)
	}
}

func TestMedian(t *testing.T) {
	for want, x := range map[float64][]float64{3: {5, 1, 3}, 2.5: {4, 1, 2, 3}, 7: {7}} {
		if got := median(x); got != want {
			t.Errorf("median of %v is %v", x, got)
		}
	}
}

// A sample belongs to the innermost part that is on its stack.
func TestDivide(t *testing.T) {
	const traces = `Duration: 1s
-----------+-------------------------------------------------------
      20ms   runtime.memmove
             github.com/shardlake/shardlake/source/kinesis/internal/wire.parseJSON
             github.com/aws/aws-sdk-go-v2/service/kinesis.(*Client).GetRecords
-----------+-------------------------------------------------------
       1s   github.com/klauspost/compress/zstd.(*Encoder).EncodeAll
             github.com/shardlake/shardlake/sink/parquet.(*encoder).Encode
             github.com/shardlake/shardlake/pipeline.(*lane).run
-----------+-------------------------------------------------------
      10ms   runtime.futex
-----------+-------------------------------------------------------
`
	parts := partsOf()
	if err := divide(traces, parts); err != nil {
		t.Fatal(err)
	}
	got := map[string]time.Duration{}
	for _, p := range parts {
		if p.cpu > 0 {
			got[p.name] = p.cpu
		}
	}
	want := map[string]time.Duration{"answer: scan and make records": 20 * time.Millisecond, "Parquet: zstd": time.Second, "Go's scheduler and the rest": 10 * time.Millisecond}
	if !maps.Equal(got, want) {
		t.Error(got)
	}
}
