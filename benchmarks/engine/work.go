package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/shardlake/shardlake"
)

// Click is a record of about 316 bytes as JSON.
type Click struct {
	ID      int64             `json:"id"`
	Time    time.Time         `json:"time"`
	User    string            `json:"user"`
	Session string            `json:"session"`
	URL     string            `json:"url"`
	Referer string            `json:"referer"`
	Agent   string            `json:"agent"`
	Country string            `json:"country"`
	Type    string            `json:"type"`
	Millis  int32             `json:"millis"`
	Price   float64           `json:"price"`
	Tags    []string          `json:"tags"`
	Skip    map[string]string `json:"-"`
}

// View is the output row.
type View struct {
	ID      int64
	Time    time.Time
	Day     string
	User    string
	Session string
	Page    string
	Referer *string
	Agent   string
	Country string
	Type    string
	Millis  int32
	Price   float64
	Tags    []string
}

func (c Click) when() time.Time { return c.Time }

// The functions that both sides call.
func wanted(c Click) bool { return c.Type != "heartbeat" }

func toView(c Click) View {
	v := View{ID: c.ID, Time: c.Time, User: c.User, Session: c.Session, Page: c.URL, Agent: c.Agent,
		Country: c.Country, Type: c.Type, Millis: c.Millis, Price: c.Price, Tags: c.Tags}
	if i := strings.IndexByte(c.URL, '?'); i >= 0 {
		v.Page = c.URL[:i]
	}
	if c.Referer != "" {
		v.Referer = &c.Referer
	}
	return v
}

func round(v View) View { v.Millis -= v.Millis % 10; return v }

// clicks are the same at each run.
func clicks(n int) []Click {
	rng := rand.New(rand.NewPCG(1, 2))
	countries := []string{"NL", "DE", "FR", "US", "BR", "IN", "JP", "ZA"}
	types := []string{"view", "view", "view", "click", "heartbeat"}
	out := make([]Click, n)
	for i := range out {
		out[i] = Click{
			ID: int64(i), Time: time.UnixMilli(1_760_000_000_000 + int64(i)*7).UTC(), User: fmt.Sprintf("user-%06d", rng.IntN(50_000)),
			Session: fmt.Sprintf("%016x", rng.Uint64()), URL: fmt.Sprintf("https://example.com/p/%d?ref=%d", rng.IntN(900), rng.IntN(1_000_000)),
			Agent: "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101", Country: countries[rng.IntN(len(countries))], Type: types[rng.IntN(len(types))],
			Millis: int32(rng.IntN(3000)), Price: float64(rng.IntN(10_000)) / 100, Tags: []string{"a", "b"}[:rng.IntN(3)],
		}
		if i%3 == 0 {
			out[i].Referer = "https://example.org/search"
		}
	}
	return out
}

// records are clicks as a stream has them.
func records(in []Click) ([]shardlake.Record, error) {
	out := make([]shardlake.Record, len(in))
	for i := range in {
		data, err := json.Marshal(in[i])
		if err != nil {
			return nil, err
		}
		out[i] = shardlake.Record{Pos: shardlake.Position{Seq: fmt.Sprint(i + 1)}, Key: in[i].User, Data: data}
	}
	return out, nil
}
