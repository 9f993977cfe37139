//go:build !race

package pipelinetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/hop"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// Each of these breaks one rule of package hop on purpose, around its code. A scenario
// that does not notice is worth nothing.
var hopSabotages = []struct {
	rule   string
	within uint64 // seeds
	apply  func(*hopping)
}{
	{"a repeat is taken", 100, func(h *hopping) {
		h.broken.frame = func(f *hop.Frame, from *shardlake.Record) []hop.Frame {
			f.Life += " " + from.Pos.Seq // nobody has seen a frame of this life
			return []hop.Frame{*f}
		}
	}},
	{"the watermark of a commit counts before its rows", 100, func(h *hopping) {
		h.broken.frame = func(f *hop.Frame, _ *shardlake.Record) []hop.Frame {
			first := hop.Frame{Header: f.Header}
			first.Index, first.Last = -1, true
			return []hop.Frame{first, *f}
		}
	}},
	{"the watermark of a commit counts behind its first frame", 100, func(h *hopping) {
		h.broken.header = func(f *hop.Header) { f.Last = true }
	}},
	{"heirs are not named", 400, func(h *hopping) {
		h.broken.header = func(f *hop.Header) { f.Heirs = nil }
	}},
	{"peers are not listed", 100, func(h *hopping) {
		h.broken.header = func(f *hop.Header) { f.Peers = nil }
	}},
	{"where shards of the receiver merge, what was late in one is not in the child", 400, func(h *hopping) {
		h.stragglers, h.views = true, viewsOf(len(h.views), true)
		h.broken.table = func(_ string, t lease.Store) lease.Store { return floorless{t} }
	}},
	{"frames are sent before the commit", 100, func(h *hopping) { h.broken.early = true }},
	{"two frames of a bucket are under way at once", 100, func(h *hopping) { h.broken.atOnce = true }},
	{"what is known of senders is not kept", 100, func(h *hopping) {
		h.broken.env = func(env *shardlake.Env) *shardlake.Env {
			apart := shardlake.NewEnv(context.Background(), shardlake.Host{Source: env.Source(), Lane: env.Lane(), Range: env.Range()})
			env.Go(func(ctx context.Context) { <-ctx.Done(); apart.Close() })
			return apart
		}
	}},
	{"state goes by the hash of a key and not with the bucket", 100, func(h *hopping) {
		h.broken.between = func(_ *shardlake.Env, next shardlake.Emit[view]) (shardlake.Emit[view], error) {
			return homeless{next}, nil
		}
	}},
}

// floorless shows shards that have merged as if no bucket had had a watermark.
type floorless struct{ lease.Store }

// floor is that of a bucket, in what is kept of it.
var floor = regexp.MustCompile(`"f":[0-9]{2,}`)

// Get changes what is kept where it lies, in as many bytes, and its checksum.
func (f floorless) Get(ctx context.Context, lane string) (lease.Row, error) {
	r, err := f.Store.Get(ctx, lane)
	if err != nil || !r.Ended || len(r.Children) != 1 {
		return r, err
	}
	r.State = maps.Clone(r.State)
	for k, b := range r.State {
		if len(b) < 4 || !strings.Contains(k, "received frames") {
			continue
		}
		b = floor.ReplaceAllFunc(b[:len(b)-4], func(f []byte) []byte {
			return append([]byte(`"f":-`), bytes.Repeat([]byte("9"), len(f)-5)...)
		})
		r.State[k] = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	}
	return r, nil
}

// homeless is rows that have forgotten the place of their bucket.
type homeless struct{ next shardlake.Emit[view] }

// Push changes a copy.
func (f homeless) Push(ctx context.Context, b shardlake.Batch[view]) error {
	b.Records = slices.Clone(b.Records)
	for i := range b.Records {
		b.Records[i].Home = nil
	}
	return f.next.Push(ctx, b)
}

// Mark passes it on.
func (f homeless) Mark(ctx context.Context, m shardlake.Mark) error { return f.next.Mark(ctx, m) }

func TestHopSabotageIsNoticed(t *testing.T) {
	for _, c := range hopSabotages {
		t.Run(strings.ReplaceAll(c.rule, " ", "-"), func(t *testing.T) {
			for seed := range c.within {
				h := hoppingOf(seed)
				c.apply(h)
				if r := h.simulate(t, seed, false); r.Violation != nil {
					t.Logf("seed %d, turn %d: %.200v", seed, r.Turns, r.Violation)
					return
				}
			}
			t.Errorf("not noticed within %d seeds", c.within)
		})
	}
}
