//go:build unix

package main

import (
	"bufio"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

func TestPlanIsOfItsSeed(t *testing.T) {
	draw := func(seed uint64) []step {
		return plan(seed, deck(), 3*time.Minute, 3, 2*time.Second, 2500*time.Millisecond)
	}
	if !reflect.DeepEqual(draw(1), draw(1)) {
		t.Error("one seed gave two plans")
	}
	if reflect.DeepEqual(draw(1), draw(2)) {
		t.Error("two seeds gave one plan")
	}
}

func TestPlanHasEveryFault(t *testing.T) {
	const lease = 2 * time.Second
	for seed := range uint64(50) {
		seen, services, last := map[kind]int{}, map[service]bool{}, time.Duration(0)
		for _, s := range plan(seed, deck(), 3*time.Minute, 3, lease, 2500*time.Millisecond) {
			seen[s.kind]++
			services[s.service] = true
			if s.at < last || s.at > 3*time.Minute || s.worker < 0 || s.worker > 2 {
				t.Errorf("seed %d: %v at %v of slot %d, after %v", seed, s, s.at, s.worker, last)
			}
			if s.kind == freeze && s.length <= lease {
				t.Errorf("seed %d: %v: a worker that is frozen for less than the lease time is no zombie", seed, s)
			}
			last = s.at
		}
		for _, k := range kinds() {
			if seen[k] < 2 {
				t.Errorf("seed %d: %s comes %d times in 3 minutes", seed, k, seen[k])
			}
		}
		if len(services) != 4 { // and "" of faults that concern none
			t.Errorf("seed %d: services %v", seed, services)
		}
	}
}

func TestOnlySomeFaults(t *testing.T) {
	some, err := only("kill,freeze")
	if err != nil || len(some) != 4 {
		t.Errorf("%v, %v; want two of each", some, err)
	}
	if _, err := only("kill,flood"); err == nil {
		t.Error("a kind that does not exist is no mistake")
	}
}

func TestRecoveryIsTheNextCommitOfAKilledWorkersLanes(t *testing.T) {
	var w watch
	began := time.Now()
	row := func(lane, owner string, fence, number uint64, ended bool) lease.Row {
		return lease.Row{Lane: lane, Owner: owner, Fence: fence, Number: number, Ended: ended}
	}
	w.see([]lease.Row{row("a", "w1", 1, 3, false), row("b", "w1", 1, 9, true), row("c", "w2", 1, 5, false)}, began)
	w.killed("w1")
	w.see([]lease.Row{row("a", "w2", 2, 3, false), row("b", "w1", 1, 9, true), row("c", "w2", 1, 6, false)}, began)
	if len(w.recovers) != 0 {
		t.Errorf("recovered %v before the next commit", w.recovers)
	}
	w.see([]lease.Row{row("a", "w2", 2, 4, false), row("b", "w1", 1, 9, true), row("c", "w2", 1, 6, false)}, began.Add(time.Hour))
	if len(w.recovers) != 1 || len(w.open) != 0 || w.changes != 1 {
		t.Errorf("recovered %v, still waiting for %v, %d changes of owner; want one, none, one", w.recovers, w.open, w.changes)
	}
}

func TestDrainedWantsEveryLastRecordVisible(t *testing.T) {
	at := func(seq string) shardlake.Position { return shardlake.Position{Seq: seq} }
	for _, c := range []struct {
		name string
		rows []lease.Row
		want string
	}{
		{"no row", nil, "a has no row"},
		{"behind", []lease.Row{{Lane: "a", Pos: at("99")}}, "its last record is 100"},
		{"pending", []lease.Row{{Lane: "a", Pos: at("100")}, {Lane: "b", Unread: true}}, "b has files"},
		{"all", []lease.Row{{Lane: "a", Pos: at("100")}, {Lane: "b"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w watch
			w.see(c.rows, time.Now())
			err := w.drained(map[string]string{"a": "100"})
			if err == nil && c.want != "" || err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestProducerWritesDownWhatIsOnTheStream(t *testing.T) {
	srv, err := kinesistest.Listen(kinesistest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	s := newStream(srv.URL(), "events")
	if err := s.create(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "put.tsv")
	p, err := newProducer(s, 1, path)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := p.batch(t.Context(), keyCount); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.split(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.merge(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := p.batch(t.Context(), keyCount); err != nil {
		t.Fatal(err)
	}
	if err := p.out.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := p.file.Close(); err != nil {
		t.Fatal(err)
	}
	put, last := p.state()
	onStream, shards := map[string]string{}, 0 // sequence number by shard and number
	all, err := srv.Shards("events")
	if err != nil {
		t.Fatal(err)
	}
	for _, sh := range all {
		recs, err := srv.Records("events", sh.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recs {
			onStream[sh.ID+" "+r.SequenceNumber] = r.PartitionKey
		}
		if n := len(recs); n > 0 {
			shards++
			if last[sh.ID] != recs[n-1].SequenceNumber {
				t.Errorf("last of %s: %s, want %s", sh.ID, last[sh.ID], recs[n-1].SequenceNumber)
			}
		}
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	numbers := map[string]bool{}
	for in := bufio.NewScanner(f); in.Scan(); {
		w := strings.Split(in.Text(), "\t")
		if len(w) != 7 || onStream[w[3]+" "+w[4]] != w[1] || numbers[w[0]] {
			t.Fatalf("%q is not on the stream, or twice", in.Text())
		}
		numbers[w[0]] = true
	}
	if len(numbers) != 11*keyCount || len(onStream) != len(numbers) || put.acked != int64(len(numbers)) || put.malformed == 0 || shards < 5 {
		t.Errorf("%d numbers written down, %d records on the stream in %d shards, totals %+v", len(numbers), len(onStream), shards, put)
	}
}
