package kinesistest_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// Two readers of one shard get 2 MiB a second each.
func TestSubscriptionsArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := kinesistest.New(kinesistest.Config{Limits: true})
		w := &world{T: t, srv: srv, client: newClient(srv, true), ctx: t.Context()}
		w.createStream("s", 1)
		for range 40 {
			w.put("s", "k", strings.Repeat("x", 500<<10))
		}
		_, _, err := w.srv.Split("s", shardID(0))
		w.must(err)
		ends := make(chan time.Duration)
		for _, name := range []string{"a", "b"} {
			s, begin := w.subscribe(w.register("s", name), shardID(0)), time.Now()
			go func() {
				all, _, err := s.rest()
				if len(all) != 40 || err != nil {
					t.Error(len(all), err)
				}
				ends <- time.Since(begin)
			}()
		}
		for range 2 {
			if d := <-ends; d < 9*time.Second || d > 10*time.Second {
				t.Errorf("20,000 KiB took %v", d)
			}
		}
	})
}

// A reader that does not read holds the server back, which keeps one event for it
// and not the rest.
func TestSlowReadersHoldTheServerBack(t *testing.T) {
	bubble(t, func(w *world) {
		w.createStream("s", 1)
		consumer := w.register("s", "lake")
		s := w.subscribe(consumer, shardID(0))
		if _, ok := s.event(); !ok {
			w.Fatal(s.Err())
		}
		for i := range 10 {
			w.put("s", "k", fmt.Sprint(i))
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		var sizes []int
		for n := 0; n < 10; {
			e, _ := s.event()
			sizes = append(sizes, len(e.Records))
			n += len(e.Records)
		}
		if sizes[len(sizes)-1] < 5 {
			w.Errorf("events of %v records: they were made before they could be sent", sizes)
		}
		s.end()
	})
}

// Shards are split and merged while they are written and pushed from: who follows
// the children has every record once.
func TestFanOutFollowsReshardsUnderLoad(t *testing.T) {
	bubble(t, func(w *world) {
		const n = 400
		w.createStream("s", 2)
		consumer := w.register("s", "lake")
		written := make(chan struct{})
		go func() {
			defer close(written)
			for i := range n {
				if _, _, err := w.srv.Put("s", fmt.Sprint(i), fmt.Append(nil, i)); err != nil {
					w.Error(err)
				}
				switch i {
				case n / 4:
					if _, _, err := w.srv.Split("s", shardID(0)); err != nil {
						w.Error(err)
					}
				case n / 2:
					if _, err := w.srv.Merge("s", shardID(3), shardID(1)); err != nil {
						w.Error(err)
					}
				case n - 1:
					for _, shard := range []int{2, 4} { // those that are open
						if _, _, err := w.srv.Split("s", shardID(shard)); err != nil {
							w.Error(err)
						}
					}
				}
				time.Sleep(100 * time.Millisecond)
			}
		}()
		type part struct {
			data     []string
			children []types.ChildShard
		}
		read := make(chan part)
		following := map[string]bool{}
		follow := func(shard string) {
			if following[shard] {
				return
			}
			following[shard] = true
			go func() {
				s, err := w.trySubscribe(consumer, shard, types.ShardIteratorTypeTrimHorizon, "")
				if err != nil {
					w.Error(err)
					read <- part{}
					return
				}
				all, last, err := s.rest()
				if err != nil {
					w.Error(err)
				}
				read <- part{all, last.ChildShards}
			}()
		}
		follow(shardID(0))
		follow(shardID(1))
		seen := map[string]int{}
		for range 5 { // shards that end: 0 to 4
			p := <-read
			for _, d := range p.data {
				seen[d]++
			}
			for _, c := range p.children {
				if *c.ShardId <= shardID(4) {
					follow(*c.ShardId)
				}
			}
		}
		<-written
		for i := range n {
			if seen[fmt.Sprint(i)] != 1 {
				w.Errorf("record %d: %d times", i, seen[fmt.Sprint(i)])
			}
		}
	})
}
