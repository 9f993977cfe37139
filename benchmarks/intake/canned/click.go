package canned

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Click is a record of about 316 bytes as JSON.
type Click struct {
	ID      int64     `json:"id"`
	Time    time.Time `json:"time"`
	User    string    `json:"user"`
	Session string    `json:"session"`
	URL     string    `json:"url"`
	Referer *string   `json:"referer,omitempty"`
	Agent   string    `json:"agent"`
	Country string    `json:"country"`
	Type    string    `json:"type"`
	Millis  int32     `json:"millis"`
	Price   float64   `json:"price"`
	Tags    []string  `json:"tags"`
}

// When is the event time.
func (c Click) When() time.Time { return c.Time }

// Clicks are the same at each run.
func Clicks(n int) []Click {
	rng := rand.New(rand.NewPCG(1, 2))
	countries := []string{"NL", "DE", "FR", "US", "BR", "IN", "JP", "ZA"}
	types := []string{"view", "view", "view", "click", "heartbeat"}
	referer := "https://example.org/search"
	out := make([]Click, n)
	for i := range out {
		out[i] = Click{
			ID: int64(i), Time: time.UnixMilli(1_760_000_000_000 + int64(i)*7).UTC(), User: fmt.Sprintf("user-%06d", rng.IntN(50_000)),
			Session: fmt.Sprintf("%016x", rng.Uint64()), URL: fmt.Sprintf("https://example.com/p/%d?ref=%d", rng.IntN(900), rng.IntN(1_000_000)),
			Agent: "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", Country: countries[rng.IntN(len(countries))], Type: types[rng.IntN(len(types))],
			Millis: int32(rng.IntN(3000)), Price: float64(rng.IntN(10_000)) / 100, Tags: []string{"a", "b"}[:rng.IntN(3)],
		}
		if i%3 == 0 {
			out[i].Referer = &referer
		}
	}
	return out
}
