package pipeline

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/source"
)

// Status is what a pipeline is doing now.
type Status struct {
	Lanes       []LaneStatus // of this process, by lane id; those that ended included
	Memory      int64        // bytes in use under the budget
	MemoryPeak  int64
	MemoryLimit int64
}

// LaneStatus is what one lane is doing now. Counters are of this process, not of
// the lane's whole life.
type LaneStatus struct {
	Source, Lane string
	State        string             // "publishing", "running", "stopping", "handing over", "ended", "failed", "lost", "released"
	Records      int64              // fetched and processed
	Bytes        int64              // payload bytes of those
	Dead         int64              // dead letters
	Late         int64              // rows that went to Pipeline.Late
	Ahead        int64              // rows whose event time was too far ahead to move the watermark
	Gaps         int64              // times that the stream no longer held what followed (Config.Lossy)
	Commits      int64              // commits made
	Files        int64              // files published
	Number       uint64             // of the last commit in the lane's life
	Committed    shardlake.Position // everything up to it is visible, or pending and will be
	Watermark    shardlake.Instant
	Behind       time.Duration // distance to the tip of the shard at the last fetch; negative if unknown
	Held         int64         // bytes of open files and of what stages keep
	Kept         int64         // bytes of what stages keep
	Counts       source.Counts // what its source reports
}

// stats are a LaneStatus in the making. The lane writes, anybody reads.
type stats struct {
	source, lane string
	state        atomic.Pointer[string]

	records, bytes, dead, late, ahead, gaps, commits, files, behind, held, kept atomic.Int64

	number    atomic.Uint64
	watermark atomic.Int64
	committed atomic.Pointer[shardlake.Position]
	counts    atomic.Pointer[source.Counts]
}

// count adds to what the source has reported. Only the lane calls it.
func (s *stats) count(c source.Counts) {
	if c == (source.Counts{}) {
		return
	}
	if old := s.counts.Load(); old != nil {
		c = c.Plus(*old)
	}
	s.counts.Store(&c)
}

func (s *stats) is(state string) { s.state.Store(&state) }

// Status returns a snapshot. It is cheap and safe at any time.
func (p *Pipeline) Status() Status {
	p.mu.Lock()
	all := make([]*stats, 0, len(p.lanes))
	for _, s := range p.lanes {
		all = append(all, s)
	}
	p.mu.Unlock()
	var out Status
	for _, s := range all {
		l := LaneStatus{
			Source: s.source, Lane: s.lane, Records: s.records.Load(), Bytes: s.bytes.Load(), Dead: s.dead.Load(), Late: s.late.Load(), Ahead: s.ahead.Load(), Gaps: s.gaps.Load(),
			Commits: s.commits.Load(), Files: s.files.Load(), Number: s.number.Load(), Held: s.held.Load(), Kept: s.kept.Load(),
			Watermark: shardlake.Instant(s.watermark.Load()), Behind: time.Duration(s.behind.Load()),
		}
		if st := s.state.Load(); st != nil {
			l.State = *st
		}
		if c := s.counts.Load(); c != nil {
			l.Counts = *c
		}
		if pos := s.committed.Load(); pos != nil {
			l.Committed = *pos
		}
		out.Lanes = append(out.Lanes, l)
	}
	slices.SortFunc(out.Lanes, func(a, b LaneStatus) int { return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Lane, b.Lane)) })
	p.mem.mu.Lock()
	out.Memory, out.MemoryPeak, out.MemoryLimit = p.mem.used, p.mem.peak, p.mem.limit
	p.mem.mu.Unlock()
	return out
}

// is sets the state of a lane that has run here.
func (p *Pipeline) is(lane, state string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.lanes[lane]; s != nil {
		s.is(state)
	}
}

// stat returns the counters of a lane, which outlive its restarts.
func (p *Pipeline) stat(source, lane string) *stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.lanes[lane]
	if s == nil {
		s = &stats{source: source, lane: lane}
		s.behind.Store(-1)
		s.watermark.Store(int64(shardlake.Never))
		p.lanes[lane] = s
	}
	return s
}
