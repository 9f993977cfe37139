package balance

import (
	"cmp"
	"maps"
	"slices"
)

// ask plans the moves that would balance the whole fleet, and keeps those to me.
// All workers that see the same rows plan the same moves, so they do not ask one
// owner for more than it has above its share, even when they ask at once.
//
// A worker below the lower share gets lanes of any that is above it; when there is
// none, one at the lower share relieves one that is above the upper share. Where
// all are between the two, nothing moves.
func (s *survey) ask(p *Plan) {
	low, high := s.ready/len(s.live), up(s.ready, len(s.live))
	workers := slices.SortedFunc(maps.Keys(s.live), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank("", a), rank("", b)), cmp.Compare(a, b))
	})
	for {
		to, from := s.poorest(workers), s.richest(workers)
		if to == "" || from == "" {
			return
		}
		few, many := s.count[to], s.count[from]
		if (few >= low || many <= low) && (few != low || many <= high) {
			return
		}
		v := s.pick(from, to)
		s.count[from]--
		s.count[to]++
		if to != s.me {
			continue
		}
		// A want of mine that does not count any more is overdue, and its owner
		// beats all the same: it is stuck, and its later writes will be refused.
		if v.Row.Want == s.me {
			p.Take = append(p.Take, v.Row)
		} else {
			p.Ask = append(p.Ask, v.Row)
		}
		if s.first() {
			return // others asked as well; who they are shows in the next round
		}
	}
}

// poorest is the worker with the fewest lanes that may have more. The bound is
// taken to be the same in the whole fleet.
func (s *survey) poorest(workers []string) string {
	to := ""
	for _, x := range workers {
		if (s.opt.MaxLanes == 0 || s.count[x] < s.opt.MaxLanes) && (to == "" || s.count[x] < s.count[to]) {
			to = x
		}
	}
	return to
}

// richest is the worker with the most lanes, of those that have one to give.
// Equals are told apart by the asker's own order only where the asker is not
// seen by others yet, since then they do not plan its moves.
func (s *survey) richest(workers []string) string {
	from := ""
	for _, x := range workers {
		if len(s.movable[x]) == 0 {
			continue
		}
		if from == "" || s.count[x] > s.count[from] ||
			s.count[x] == s.count[from] && s.first() && rank(s.me, x) < rank(s.me, from) {
			from = x
		}
	}
	return from
}

// pick chooses the lane that moves: one that the receiver has asked for long ago,
// else the first in the receiver's order.
func (s *survey) pick(from, to string) seen {
	lanes, first := s.movable[from], 0
	for i, v := range lanes {
		best := lanes[first]
		asked, before := v.Row.Want == to, best.Row.Want == to
		if asked && !before || asked == before && rank(to, v.Row.Lane) < rank(to, best.Row.Lane) {
			first = i
		}
	}
	v := lanes[first]
	s.movable[from] = slices.Delete(lanes, first, first+1)
	return v
}
