package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// produced is what the feed has put on the stream, for the comparison at the end.
type produced struct {
	total   atomic.Int64 // records, all of them
	clicks  int64        // records that are clicks: their ids are 0 to clicks-1
	broken  int64        // records that are no JSON: they must be dead letters
	noPage  int64        // clicks whose URL has no path: dead letters too
	robots  int64        // clicks that the filter drops
	minutes map[time.Time]int64
}

// The feed's own clock runs sixty times as fast, so that windows close while one
// watches.
const speed = 60

// feed puts clicks for a while, at a steady rate. It is the only one to write to
// what it returns, except total, until it is done.
func feed(ctx context.Context, srv *kinesistest.Server, rate int, d time.Duration, out *produced) error {
	out.minutes = map[time.Time]int64{}
	rng := rand.New(rand.NewPCG(7, 11))
	began := time.Now()
	first := began.UTC().Truncate(time.Hour).Add(-24 * time.Hour)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		passed := min(time.Since(began), d)
		for want := int64(float64(rate) * passed.Seconds()); out.total.Load() < want; out.total.Add(1) {
			at := first.Add(passed*speed - time.Duration(rng.IntN(20_000))*time.Millisecond)
			if err := one(srv, rng, at, out); err != nil {
				return err
			}
		}
		if passed == d {
			return nil
		}
	}
}

var (
	pages  = []string{"/", "/shop/lamps", "/shop/desks", "/shop/chairs", "/blog/a-year-in-review", "/blog/über-uns", "/help/returns", "/help/sizes", "/account/orders"}
	agents = []string{"firefox", "chrome", "safari", "robot"}
)

// one puts one record.
func one(srv *kinesistest.Server, rng *rand.Rand, at time.Time, out *produced) error {
	user := fmt.Sprintf("user-%04d", rng.IntN(2000))
	if rng.IntN(500) == 0 {
		out.broken++
		_, _, err := srv.Put(streamName, user, []byte(`{"id": 12, "time": "2026-`))
		return err
	}
	c := Click{ID: out.clicks, Time: at, User: user, Agent: agents[rng.IntN(len(agents))], Millis: int32(rng.IntN(900)),
		URL: "https://example.com" + pages[rng.IntN(len(pages))]}
	if rng.IntN(3) > 0 {
		ref := "https://example.org/?q=" + user
		c.Referer = &ref
	}
	switch {
	case rng.IntN(800) == 0:
		c.URL = "https://example.com"
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	out.clicks++
	switch {
	case !human(c):
		out.robots++
	case c.URL == "https://example.com":
		out.noPage++
	default:
		out.minutes[at.Truncate(time.Minute)]++
	}
	_, _, err = srv.Put(streamName, user, data)
	return err
}
