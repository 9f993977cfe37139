package pipelinetest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/hop"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// view is what goes through two groups: it comes by device, and is counted by user.
type view struct {
	ID, Sec      int
	Device, User string
}

func (v view) when() time.Time { return time.Unix(int64(v.Sec), 0) }
func (v view) user() string    { return v.User }

// straggles tells the views that may come after their window has closed.
func straggles(id int) bool { return id%7 == 6 }

// viewsOf are in order but for stragglers, each of which falls into a window in which
// there is one that is not.
func viewsOf(n int, stragglers bool) (out []view) {
	for i := range n {
		v := view{ID: i, Sec: 2 * i, Device: "d" + strconv.Itoa(i%23), User: "u" + strconv.Itoa((i*i+i/3)%6)}
		if stragglers && straggles(i) && i > 20 {
			old := out[i-2-i%3*6]
			for straggles(old.ID) {
				old = out[old.ID-1]
			}
			v.Sec, v.User = old.Sec, old.User
		}
		out = append(out, v)
	}
	return out
}

// span is how many seconds a window is long: no more than some commits.
const span = 6

// tally is what is made of the views of a user in a window.
type tally struct {
	User   string
	From   int // second
	N, Sum int
	IDs    []int
}

func (t *tally) add(v view) {
	t.N, t.Sum, t.IDs = t.N+1, t.Sum+v.ID+1, append(t.IDs, v.ID)
}

// hoppingOf is what a seed runs.
func hoppingOf(seed uint64) *hopping {
	h := &hopping{stragglers: seed%5 == 2, buckets: 2 << (seed % 3), shards: [2]int{1 + int(seed/3%3), 1 + int(seed/9%4)}}
	h.views, h.live = viewsOf(60, h.stragglers), seed%4 == 1 && !h.stragglers
	return h
}

// receiver is the second pipeline.
func (h *hopping) receiver(p *pipeline.Pipeline, src source.Source[hop.Frame], lake func(string) sink.Folder) {
	views := p.Read(src).Via(h.receive)
	views.Write(lake("raw"), JSON)
	views.Via(stage.Aggregate(window.Tumbling(span*time.Second).Grace(0), view.user,
		func(u string, s window.Span) tally { return tally{User: u, From: int(s.Start / 1e6)} }, (*tally).add)).Write(lake("sums"), JSON)
	p.Dead().Write(lake("dead"), JSON)
}

// read tells what a file of the second group holds. A view is in one window, or, if it
// straggles, among the dead letters; no window comes out twice.
func (h *hopping) read(folder string, file []byte) (out []Row, err error) {
	switch folder {
	case "raw":
		views, err := Lines[view](file)
		for _, v := range views {
			out = append(out, Row{ID: id("raw", v.ID), Key: v.User + " of " + v.Device, Order: int64(v.ID)})
		}
		return out, err
	case "sums":
		tallies, err := Lines[tally](file)
		for _, t := range tallies {
			out = append(out, Row{ID: t.window()})
			for _, n := range t.IDs {
				if v := h.sent(n); v.User != t.User || v.Sec/span*span != t.From {
					return nil, fmt.Errorf("view %+v is in the window %+v", v, t)
				}
				out = append(out, Row{ID: id("counted", n)})
			}
			out = append(out, h.sums(t)...)
		}
		return out, err
	}
	letters, err := Lines[shardlake.DeadLetter](file)
	for _, d := range letters {
		var v view
		if err := json.Unmarshal(d.Data, &v); err != nil {
			return nil, err
		}
		if !h.stragglers || !straggles(v.ID) {
			return nil, fmt.Errorf("view %d was in order, and is late: %s", v.ID, d.Reason)
		}
		out = append(out, Row{ID: id("counted", v.ID)})
	}
	return out, err
}

// sent is a view as the first group has seen it.
func (h *hopping) sent(n int) view {
	v := h.views[n]
	if h.live {
		v.Sec = h.seconds()[n]
	}
	return v
}

func id(what string, n int) string { return what + " " + strconv.Itoa(n) }

func (t tally) window() string { return "window " + t.User + " " + strconv.Itoa(t.From) }

// sums are the totals of a window, if no row can be late.
func (h *hopping) sums(t tally) []Row {
	if h.stragglers {
		return nil
	}
	return []Row{{ID: t.window() + " n", Value: int64(t.N)}, {ID: t.window() + " sum", Value: int64(t.Sum)}}
}

// want is a plain loop over what was put into the first stream.
func (h *hopping) want(shards []Shard[view]) map[string]int64 {
	w := map[string]int64{}
	for _, s := range shards {
		for _, v := range s.Rows {
			v = h.sent(v.ID)
			w[id("raw", v.ID)], w[id("counted", v.ID)] = 1, 1
			t := tally{User: v.User, From: v.Sec / span * span}
			t.add(v)
			w[t.window()] = 1
			for _, r := range h.sums(t) {
				w[r.ID] += r.Value
			}
		}
	}
	return w
}
