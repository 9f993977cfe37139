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
	// to this worker. It is empty while any lane is free for this worker.
	Ask []lease.Row
	// Lanes are those that are ready, Workers those that live, with this one.
	Lanes, Workers int
	// First says that nobody counts this worker yet, and the plan only shows it to
	// the others. The next round should be a whole period later: sooner, it would
	// claim a share before those who start at the same time can be seen. In all
	// other rounds that move something it may come again as soon as it likes.
	First bool
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
// all who started with it, and they see it. Rounds should be half a lease time
// apart, or less: a lane that was handed over waits one lease time for its asker.
func (w *Watch) Decide(lanes []Lane) Plan {
	s := w.survey(lanes)
	p := Plan{Lanes: s.ready, Workers: len(s.live), First: s.first()}
	s.take(&p)
	if len(p.Take) == 0 && len(s.open) == 0 {
		s.ask(&p)
	}
	return p
}

// seen is a lane with what this worker knows of it. It is mine, or lives with
// another owner, or is free.
type seen struct {
	*Lane
	mine, live bool
	idle       time.Duration // how long it has been known to be free
	wanted     bool          // the want in its row may still be fulfilled
}

func (w *Watch) look(l *Lane) seen {
	s, age := w.sight(&l.Row), time.Duration(0)
	v := seen{Lane: l, mine: l.Row.Owner == w.me && l.Running}
	v.live = !v.mine && l.Row.Owner != "" && l.Row.Owner != w.me && !w.opt.Alone && !w.expired(s)
	if v.free() {
		age = w.now.Sub(s.changed)
		if l.Row.Owner != "" && l.Row.Owner != w.me {
			age -= w.opt.LeaseTime
		}
	}
	v.idle = max(age, 0)
	// A free lane waits one lease time for its asker, which is two rounds; an owner
	// has the time of a hand-over and another lease time.
	wait, limit := w.now.Sub(s.asked), w.overdue()
	if v.free() {
		wait, limit = v.idle, w.opt.LeaseTime
	}
	v.wanted = l.Row.Want != "" && l.Row.Want != l.Row.Owner && !w.opt.Alone && wait <= limit
	return v
}

func (v seen) free() bool { return !v.mine && !v.live }

// survey is the fleet as one worker sees it in one round.
type survey struct {
	*Watch
	live    map[string]bool
	count   map[string]int    // ready lanes by the worker that runs them, or will
	movable map[string][]seen // ready lanes that can be asked for, by live owner
	due     []seen            // free, and asked for by me
	open    []seen            // free for whoever comes first
	ready   int
	held    int  // lanes that I run, ready or not
	visible bool // others count me
}

func (w *Watch) survey(lanes []Lane) *survey {
	s := &survey{Watch: w, live: map[string]bool{w.me: true}, count: map[string]int{}, movable: map[string][]seen{}}
	all, owners := make([]seen, len(lanes)), map[string]bool{}
	for i := range lanes {
		v := w.look(&lanes[i])
		all[i] = v
		owners[v.Row.Owner] = true
		switch {
		case v.mine:
			s.held++
			s.visible = true
		case v.live:
			s.live[v.Row.Owner] = true
		case v.Row.Owner == w.me && v.idle <= w.opt.LeaseTime:
			s.visible = true // the earlier life of the lane
		}
	}
	for _, v := range all {
		// An owner all of whose rows stand still is dead, whatever it once asked for.
		if v.wanted && !owners[v.Row.Want] {
			s.live[v.Row.Want] = true
		}
	}
	for _, v := range all {
		s.add(v)
	}
	slices.SortFunc(s.due, s.byUrgency)
	slices.SortFunc(s.open, s.byUrgency)
	return s
}

// add counts one lane, and puts it where it can be taken or asked for.
func (s *survey) add(v seen) {
	promised := v.wanted && s.live[v.Row.Want]
	if promised && v.Row.Want == s.me {
		s.visible = true
	}
	if !v.Ready {
		return
	}
	s.ready++
	switch {
	case promised:
		s.count[v.Row.Want]++
	case !v.free():
		s.count[v.Row.Owner]++
		// What has ended is about to be finished: to move it is no gain.
		if !v.Row.Ended && (v.mine || !v.Running) {
			s.movable[v.Row.Owner] = append(s.movable[v.Row.Owner], v)
		}
	}
	switch {
	case !v.free() || v.Running:
	case !promised:
		s.open = append(s.open, v)
	case v.Row.Want == s.me:
		s.due = append(s.due, v)
	}
}

// first tells whether this worker has to show itself before it has a share.
func (s *survey) first() bool { return !s.visible && !s.opt.Alone }

// byUrgency puts first what need only be published, since its children wait for
// it; then what has been free for longest, in steps of the lease time; then each
// worker has its own order, so that they do not all reach for the same lane.
func (s *survey) byUrgency(a, b seen) int {
	step := s.opt.LeaseTime
	switch {
	case a.Row.Ended != b.Row.Ended && a.Row.Ended:
		return -1
	case a.Row.Ended != b.Row.Ended:
		return 1
	}
	return cmp.Or(
		cmp.Compare(b.idle/step, a.idle/step),
		cmp.Compare(rank(s.me, a.Row.Lane), rank(s.me, b.Row.Lane)),
		cmp.Compare(a.Row.Lane, b.Row.Lane))
}

// take plans what is taken: lanes that I have asked for, then open ones up to my
// share.
func (s *survey) take(p *Plan) {
	lack := min(len(s.open), max(0, up(s.ready, len(s.live))-s.count[s.me]))
	most := max(1, up(s.ready, perRound))
	switch {
	case s.opt.Alone:
		most = s.ready
	case s.first():
		most = 1
	}
	take := slices.Concat(s.due, s.open[:min(lack, most)])
	// A lane that nobody has taken for so long has been left by those whose share
	// it is: they are full, or cannot run it. Then anybody may, one a round.
	neglected := slices.DeleteFunc(slices.Clone(s.open), func(v seen) bool { return v.idle <= s.overdue() })
	if lack == 0 && len(neglected) > 0 {
		take = append(take, neglected[0])
	}
	if s.opt.MaxLanes > 0 {
		room := max(0, s.opt.MaxLanes-s.held)
		p.Spill = max(0, len(s.due)+max(lack, len(neglected))-room)
		take = take[:min(len(take), room)]
	}
	for _, v := range take {
		p.Take = append(p.Take, v.Row)
	}
}

// up is n/d, rounded up.
func up(n, d int) int { return (n + d - 1) / d }
