package hop_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/hop"
)

func header(lane string, commit uint64, w shardlake.Instant) hop.Header {
	return hop.Header{Group: "app/stream/", Lane: lane, Life: "life-" + lane, Commit: commit, Last: true, Of: 1, Watermark: w}
}

// take gives a frame to a ledger and returns by which watermark its rows are judged.
func take(t *testing.T, l *hop.Ledger, h hop.Header) shardlake.Instant {
	t.Helper()
	mark, ok, err := l.Accept(&h, 0)
	if err != nil || !ok {
		t.Fatalf("%+v: %v, %v", h, ok, err)
	}
	l.Done(&h)
	return mark
}

func watermark(t *testing.T, l *hop.Ledger, want shardlake.Instant) {
	t.Helper()
	if got := l.Watermark(); got != want {
		t.Errorf("the watermark is %d, want %d; awaited are %v", int64(got), int64(want), l.Awaited())
	}
}

// Until every lane that sends has been heard, nobody knows what is late.
func TestPeersHoldTheWatermark(t *testing.T) {
	l := hop.NewLedger(shardlake.HashRange{})
	a := header("a", 1, 100)
	a.Peers = []string{"a", "b"}
	if mark := take(t, l, a); mark != shardlake.Never {
		t.Error(mark)
	}
	watermark(t, l, shardlake.Never)
	if got := l.Awaited(); !slices.Equal(got, []string{"b"}) {
		t.Error(got)
	}
	take(t, l, header("b", 7, 40))
	watermark(t, l, 40)
	take(t, l, header("b", 8, 140))
	watermark(t, l, 100)
}

// The rows of a commit are judged by the watermark before it: it counts behind the
// last frame.
func TestWatermarkCountsBehindTheLastFrame(t *testing.T) {
	l := hop.NewLedger(shardlake.HashRange{})
	take(t, l, header("a", 1, 100))
	first, last := header("a", 2, 200), header("a", 2, 200)
	first.Last, last.Index = false, 1
	for _, h := range []hop.Header{first, last} {
		if mark := take(t, l, h); mark != 100 {
			t.Error(mark)
		}
	}
	watermark(t, l, 200)
}

// Those that go on where a lane ends take its place in one step: there is no moment
// at which nobody holds the watermark for them. The child of two begins at the lower.
func TestHeirsTakeThePlace(t *testing.T) {
	l := hop.NewLedger(shardlake.HashRange{})
	for lane, w := range map[string]shardlake.Instant{"a": 50, "b": 60, "c": 1000} {
		h := header(lane, 1, w)
		h.Peers = []string{"a", "b", "c"}
		take(t, l, h)
	}
	a, b := header("a", 2, 55), header("b", 2, 70)
	a.Ended, a.Heirs, b.Ended, b.Heirs = true, []string{"ab"}, true, []string{"ab"}
	take(t, l, b)
	watermark(t, l, 50)
	take(t, l, a)
	watermark(t, l, 55)
	take(t, l, header("c", 2, 2000))
	watermark(t, l, 55)
	ab := header("ab", 1, 80)
	take(t, l, ab)
	watermark(t, l, 80)
	ab.Commit, ab.Ended, ab.Watermark = 2, true, shardlake.Forever // the end of the input
	take(t, l, ab)
	watermark(t, l, 2000)
	c := header("c", 3, shardlake.Forever)
	c.Ended = true
	take(t, l, c)
	watermark(t, l, shardlake.Forever)
}

// restored is the ledger of the next owner.
func restored(t *testing.T, of shardlake.HashRange, inherited bool, all ...*hop.Ledger) *hop.Ledger {
	t.Helper()
	l := hop.NewLedger(of)
	for _, old := range all {
		err := old.Snapshot(true, func(e shardlake.Entry) {
			if of.IsZero() || of.Contains(e.Home) {
				e.Key, e.Value = bytes.Clone(e.Key), bytes.Clone(e.Value)
				if err := l.Restore(old.Schema(), e, inherited); err != nil {
					t.Fatal(err)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// A merge may come before the first frames to one of the two, which has kept nothing
// then: its child does not know yet who sends, whatever the other has reached.
func TestMergeBeforeTheFirstFrames(t *testing.T) {
	low := shardlake.HashRange{To: hop.Start(1, 2)}
	low.To[0] = 0x7f
	a := hop.NewLedger(low)
	x := header("x", 1, 100)
	x.Of = 2
	take(t, a, x)
	watermark(t, a, 100)
	child := restored(t, shardlake.HashRange{To: shardlake.MaxHash}, true, a)
	watermark(t, child, shardlake.Never)
	x.Bucket = 1 // of the same commit
	if mark := take(t, child, x); mark != shardlake.Never {
		t.Errorf("judged by %v", int64(mark))
	}
	watermark(t, child, 100)
	x.Bucket, x.Commit, x.Watermark = 0, 2, 150
	if mark := take(t, child, x); mark != 100 {
		t.Errorf("judged by %v", int64(mark))
	}
	watermark(t, restored(t, shardlake.HashRange{To: shardlake.MaxHash}, false, child), 100)
}

// When shards of the reader are merged, the child's watermark is the lower one, and
// what was late in the other stays late: its windows have fired.
func TestFloorsOfAMerge(t *testing.T) {
	low, high := shardlake.HashRange{To: hop.Start(1, 2)}, shardlake.HashRange{From: hop.Start(1, 2), To: shardlake.MaxHash}
	low.To[0] = 0x7f
	a, b := hop.NewLedger(low), hop.NewLedger(high)
	one, two := header("x", 1, 100), header("x", 1, 300)
	one.Of, two.Of, two.Bucket = 2, 2, 1
	take(t, a, one)
	take(t, b, two)
	watermark(t, a, 100)
	watermark(t, b, 300)
	child := restored(t, shardlake.HashRange{To: shardlake.MaxHash}, true, a, b)
	watermark(t, child, 100)
	one.Commit, two.Commit, one.Watermark, two.Watermark = 2, 2, 150, 350
	if mark := take(t, child, two); mark != 300 {
		t.Errorf("judged by %v", int64(mark))
	}
	if mark := take(t, child, one); mark != 100 {
		t.Errorf("judged by %v", int64(mark))
	}
	watermark(t, child, 150)
	// A repeat is known in the child, too.
	if _, ok, err := child.Accept(&one, 0); ok || err != nil {
		t.Error(ok, err)
	}
}

// sender is one lane's frames for two buckets: those of a commit are sent in order,
// those of the next when all are there, and any may be sent again at any time.
type sender struct {
	lane   string
	commit uint64
	todo   []hop.Header
	sent   []hop.Header
}

// Whatever is repeated, by whom, and wherever the reader's owner changes: each frame's
// rows are taken once, in order, and never judged by a watermark beyond that of the
// commit before.
func TestEachFrameOnce(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		senders := []*sender{{lane: "a"}, {lane: "b"}, {lane: "c"}}
		l := hop.NewLedger(shardlake.HashRange{})
		taken, last := map[string]int{}, map[string]string{}
		total := 0
		for range 400 {
			s := senders[r.IntN(len(senders))]
			var h hop.Header
			switch {
			case len(s.sent) > 0 && r.IntN(3) == 0:
				h = s.sent[r.IntN(len(s.sent))] // late, or from a process that is dead
			case len(s.todo) == 0:
				s.commit++
				for bucket := range 2 {
					n := 1 + r.IntN(3)
					for i := range n {
						h := header(s.lane, s.commit, shardlake.Instant(s.commit*100))
						h.Index, h.Last, h.Bucket, h.Of = i, i == n-1, bucket, 2
						if s.commit == 1 {
							h.Peers = []string{"a", "b", "c"}
						}
						s.todo = append(s.todo, h)
					}
				}
				fallthrough
			default:
				h = s.todo[0]
				s.todo = s.todo[1:]
				s.sent = append(s.sent, h)
				total++
			}
			mark, ok, err := l.Accept(&h, 0)
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				id := fmt.Sprintf("%s %d %04d %02d", h.Lane, h.Bucket, h.Commit, h.Index)
				stream := fmt.Sprint(h.Lane, h.Bucket)
				if last[stream] >= id {
					t.Fatalf("%s behind %s", id, last[stream])
				}
				last[stream] = id
				taken[id]++
				if mark > shardlake.Instant((h.Commit-1)*100) && mark != shardlake.Never {
					t.Fatalf("%s is judged by %d", id, int64(mark))
				}
				l.Done(&h)
			}
			if r.IntN(10) == 0 {
				before := l.Watermark()
				l = restored(t, shardlake.HashRange{}, false, l)
				watermark(t, l, before)
			}
		}
		if len(taken) != total || slices.Max(slices.Collect(maps.Values(taken))) != 1 {
			t.Fatalf("seed %d: %d frames were sent, %d taken", seed, total, len(taken))
		}
	}
}

// Lanes that ended long ago are forgotten, so that a stream that is resharded again
// and again does not make the state grow for ever.
func TestEndedLanesAreForgotten(t *testing.T) {
	l := hop.NewLedger(shardlake.HashRange{})
	day := shardlake.Instant(24 * 3600 * 1e6)
	for n := range 100 {
		h := header(fmt.Sprint("lane ", n), 1, shardlake.Instant(n)*day)
		h.Ended, h.Heirs = true, []string{fmt.Sprint("lane ", n+1)}
		if _, ok, err := l.Accept(&h, shardlake.Instant(n)*day); !ok || err != nil {
			t.Fatal(ok, err)
		}
		l.Done(&h)
	}
	if n := l.Bytes(); n > 20*350 {
		t.Errorf("%d bytes are kept", n)
	}
	watermark(t, l, 99*day)
}

func TestFrameThereAndBack(t *testing.T) {
	h := header("shardId-1", 3, 5)
	h.Of, h.Bucket, h.Peers, h.Heirs, h.Ended = 64, 63, []string{"x", "y"}, []string{"z"}, true
	var rows []byte
	for i := range 5 {
		rows = hop.AppendRow(rows, shardlake.Instant(i-2), fmt.Sprint("key", i), bytes.Repeat([]byte{byte(i)}, i*100))
	}
	b, err := hop.Encode(h, rows)
	if err != nil {
		t.Fatal(err)
	}
	f, err := hop.Decode(b)
	if err != nil || fmt.Sprint(f.Header) != fmt.Sprint(h) {
		t.Fatal(f.Header, err)
	}
	i := 0
	for row, err := range f.Rows() {
		if err != nil || row.Time != shardlake.Instant(i-2) || row.Key != fmt.Sprint("key", i) || len(row.Data) != i*100 {
			t.Fatal(row, err)
		}
		i++
	}
	for i := range b {
		if _, err := hop.Decode(b[:i]); err == nil {
			t.Fatalf("%d bytes of %d are taken", i, len(b))
		}
		c := bytes.Clone(b)
		c[i] ^= 1
		if _, err := hop.Decode(c); err == nil {
			t.Fatalf("byte %d may be anything", i)
		}
	}
}

// Buckets cut the hash space into equal parts, whose starts lie in them.
func TestBuckets(t *testing.T) {
	for n := 1; n <= hop.MaxBuckets; n *= 2 {
		for b := range n {
			if b > 0 && hop.Start(b-1, n).Compare(hop.Start(b, n)) >= 0 {
				t.Fatalf("%d of %d begins before the one before", b, n)
			}
		}
		seen := map[int]bool{}
		for i := range 200 {
			key := fmt.Sprint("key ", i)
			b := hop.BucketOf(key, n)
			seen[b] = true
			if h := shardlake.HashOf(key); h.Compare(hop.Start(b, n)) < 0 || b+1 < n && h.Compare(hop.Start(b+1, n)) >= 0 {
				t.Fatalf("%s is not in bucket %d of %d", key, b, n)
			}
		}
		if len(seen) < min(n, 50) {
			t.Errorf("%d of %d buckets are used", len(seen), n)
		}
	}
}

func FuzzDecode(f *testing.F) {
	b, err := hop.Encode(header("a", 1, 2), hop.AppendRow(nil, 1, "k", []byte("v")))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := hop.Decode(b)
		if err != nil {
			return
		}
		for _, err := range frame.Rows() {
			if err != nil {
				return
			}
		}
	})
}
