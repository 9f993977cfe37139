package balance

import (
	"cmp"
	"slices"
	"time"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// Lane is one row of the last See, and what the caller knows of it.
type Lane struct {
	Row lease.Row
	// Ready says that the lane can be worked on: its parents are finished, it is
	// not held and not finished itself. A row that has ended with uploads left to
	// publish is ready. Lanes that are not ready count for nothing, else a
	// reshard would give one worker all that can be read.
	Ready bool
	// Running says that this worker runs the lane, from before Acquire is called
	// until its goroutine has returned. A lane that runs is never taken; a row of
	// this worker that does not run is free at once.
	Running bool
}

// Plan is what one worker should do until its next round.
type Plan struct {
	// Take are the lanes to Acquire, most urgent first. Each is free, its owner is
	// dead, or its owner has failed to hand it over in time. ErrLost is no fault:
	// somebody was faster, or the owner lives; the next round decides anew.
	Take []lease.Row
	// Ask are the lanes whose owners live and have more than their share: set Want
	// to this worker. It is empty while there is something to take.
	Ask []lease.Row
	// Lanes are those that are ready, Workers those that live, with this one.
	Lanes, Workers int
	// Spill is the number of lanes that nobody runs and that would be this
	// worker's, did MaxLanes not forbid it.
	Spill int
}

// perRound is the part of all lanes, one in so many, that a worker takes in one
// round: a lone worker has all of them after about 8 rounds, and workers that
// start soon after one another find some left.
const perRound = 8

// Decide makes the plan of a round from the lanes of the last See. It changes
// nothing: asked twice, it gives the same answer, whatever the order of lanes.
//
// The share of a worker is N/W lanes, rounded up for what it takes and down for
// what it asks others for; between the two nothing moves. N are the ready lanes.
// W are the live workers: this one, owners of a row that has changed within the
// lease time, and workers that own nothing yet but have lately asked for a lane.
// A lane that was asked for counts as its asker's.
//
// A worker that owns nothing and has asked for nothing is counted by nobody. It
// shows itself with a single lane. When it comes again one round later, it sees
// all who started with it, and they see it.
func (w *Watch) Decide(lanes []Lane) Plan {
	s := w.survey(lanes)
	p := Plan{Lanes: s.ready, Workers: len(s.live)}
	s.take(&p)
	if len(p.Take) == 0 && len(s.free) == 0 {
		s.ask(&p)
	}
	return p
}

// survey is the fleet as one worker sees it in one round.
type survey struct {
	*Watch
	live    map[string]bool
	count   map[string]int     // ready lanes by the worker that runs them, or will
	movable map[string][]*Lane // ready lanes that can be asked for, by live owner
	wanted  []*Lane            // free now, and asked for by me
	free    []*Lane            // free for me, besides wanted
	ready   int
	held    int  // lanes that I run, ready or not
	visible bool // others count me
}

// mine, live or free: a lane is exactly one of them.
func (w *Watch) mine(l *Lane) bool { return l.Row.Owner == w.me && l.Running }

func (w *Watch) alive(l *Lane, s sight) bool {
	return l.Row.Owner != "" && l.Row.Owner != w.me && !w.opt.Alone && !w.expired(s)
}

func (w *Watch) isFree(l *Lane, s sight) bool { return !w.mine(l) && !w.alive(l, s) }

// freeFor is how long a free lane has been known to be free.
func (w *Watch) freeFor(l *Lane) time.Duration {
	s := w.sight(l.Row)
	age := w.now.Sub(s.changed)
	if l.Row.Owner != "" && l.Row.Owner != w.me {
		age -= w.opt.LeaseTime
	}
	return max(age, 0)
}

// fresh tells whether the want in a row may still be fulfilled. A free lane waits
// one lease time for its asker, which is two rounds; an owner has the time of a
// hand-over and another lease time.
func (w *Watch) fresh(l *Lane, s sight) bool {
	switch {
	case l.Row.Want == "" || l.Row.Want == l.Row.Owner || w.opt.Alone:
		return false
	case w.isFree(l, s):
		return w.freeFor(l) <= w.opt.LeaseTime
	}
	return w.now.Sub(s.asked) <= w.overdue()
}

func (w *Watch) survey(lanes []Lane) *survey {
	s := &survey{Watch: w, live: map[string]bool{w.me: true}, count: map[string]int{}, movable: map[string][]*Lane{}}
	owners := map[string]bool{}
	for i := range lanes {
		l := &lanes[i]
		sight := w.sight(l.Row)
		owners[l.Row.Owner] = true
		switch {
		case w.mine(l):
			s.held++
			s.visible = true
		case w.alive(l, sight):
			s.live[l.Row.Owner] = true
		case l.Row.Owner == w.me && !w.expired(sight):
			s.visible = true
		}
	}
	for i := range lanes {
		// An owner all of whose rows stand still is dead, whatever it once asked for.
		if l := &lanes[i]; !owners[l.Row.Want] && w.fresh(l, w.sight(l.Row)) {
			s.live[l.Row.Want] = true
		}
	}
	for i := range lanes {
		l := &lanes[i]
		sight := w.sight(l.Row)
		promised := w.fresh(l, sight) && s.live[l.Row.Want]
		if promised && l.Row.Want == w.me {
			s.visible = true
		}
		if !l.Ready {
			continue
		}
		s.ready++
		free := w.isFree(l, sight)
		switch {
		case promised:
			s.count[l.Row.Want]++
		case !free:
			s.count[l.Row.Owner]++
			// What has ended is about to be finished: to move it is no gain.
			if !l.Row.Ended && (!l.Running || l.Row.Owner == w.me) {
				s.movable[l.Row.Owner] = append(s.movable[l.Row.Owner], l)
			}
		}
		switch {
		case !free || l.Running:
		case promised && l.Row.Want == w.me:
			s.wanted = append(s.wanted, l)
		case !promised:
			s.free = append(s.free, l)
		}
	}
	s.sort()
	return s
}

// sort puts what is free in order: rows that need only be published, since their
// children wait for them; then by the time without an owner, in steps of the
// lease time; then each worker in its own order, so that they do not all reach
// for the same lane.
func (s *survey) sort() {
	ended := func(l *Lane) int {
		if l.Row.Ended {
			return 0
		}
		return 1
	}
	byUrgency := func(a, b *Lane) int {
		return cmp.Or(
			cmp.Compare(ended(a), ended(b)),
			cmp.Compare(s.freeFor(b)/s.opt.LeaseTime, s.freeFor(a)/s.opt.LeaseTime),
			cmp.Compare(rank(s.me, a.Row.Lane), rank(s.me, b.Row.Lane)),
			cmp.Compare(a.Row.Lane, b.Row.Lane))
	}
	slices.SortFunc(s.wanted, byUrgency)
	slices.SortFunc(s.free, byUrgency)
}

// take plans what is taken: lanes that I have asked for, then free ones up to my
// share.
func (s *survey) take(p *Plan) {
	lack := min(len(s.free), max(0, up(s.ready, len(s.live))-s.count[s.me]))
	most := max(1, up(s.ready, perRound))
	switch {
	case s.opt.Alone:
		most = s.ready
	case !s.visible:
		most = 1
	}
	// A lane that nobody has taken for so long has been left by those whose share
	// it is: they are full, or cannot run it. Then anybody may, one a round.
	neglected := 0
	for _, l := range s.free {
		if s.freeFor(l) > s.overdue() {
			neglected++
		}
	}
	due := slices.Concat(s.wanted, s.free[:min(lack, most)])
	spill := len(s.wanted) + max(lack, neglected)
	if lack == 0 && neglected > 0 {
		i := slices.IndexFunc(s.free, func(l *Lane) bool { return s.freeFor(l) > s.overdue() })
		due = append(due, s.free[i])
	}
	if s.opt.MaxLanes > 0 {
		room := max(0, s.opt.MaxLanes-s.held)
		p.Spill = max(0, spill-room)
		due = due[:min(len(due), room)]
	}
	for _, l := range due {
		p.Take = append(p.Take, l.Row)
	}
}

// up is n/d, rounded up.
func up(n, d int) int { return (n + d - 1) / d }
