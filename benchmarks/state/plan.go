package main

import (
	"fmt"
	"time"
)

// A plan is a stream: what its records do to the keys, commit by commit. Every figure
// of it follows from the number of a record, so a run that begins in the middle reads
// what the one before it would have.
type plan struct {
	keys      int  // live at a time
	perCommit int  // records, a whole number of chunks
	fresh     bool // changed keys are new ones in the place of the oldest, as Dedup sees them; else all keys come round
	closing   bool // of all keys at once, which is what the plan is about
	turnover  bool // windows end, and keys are forgotten, before they come round again
	stretches []stretch
}

// stretch is a number of commits that are alike.
type stretch struct {
	name    string
	commits int
	touched int  // keys that change from one commit to the next
	load    bool // every key comes for the first time
	last    bool // what a run that begins anew reads
}

const (
	loading   = "load"
	touching1 = "1 %"
	touching2 = "10 %"
	resuming  = "resume"
)

// growing is the plan that shows what a number of keys costs: all keys, then a part of
// them between two commits, then the stop; behind it is what the next process reads.
func growing(keys int, fresh bool) plan { return briefly(keys, 100_000, fresh) }

// briefly is growing with another number of records between two commits.
func briefly(keys, perCommit int, fresh bool) plan {
	return plan{keys: keys, perCommit: perCommit, fresh: fresh, stretches: []stretch{
		{name: loading, commits: (keys + perCommit - 1) / perCommit, load: true},
		{name: touching1, commits: 8, touched: max(1, keys/100)},
		{name: touching2, commits: 8, touched: max(1, keys/10)},
		{name: resuming, commits: 1, touched: max(1, keys/100), last: true},
	}}
}

// lasting is the plan that shows what the length of a stream costs: a tenth of the keys
// changes from commit to commit, and none lives for more than about ten commits.
func lasting(commits int, fresh bool) plan {
	const keys = 10_000
	return plan{keys: keys, perCommit: 20_000, fresh: fresh, turnover: true, stretches: []stretch{{name: touching2, commits: commits, touched: keys / 10}}}
}

// round is the number of commits in which all keys of lasting come round once.
const round = 10

// closing is the plan that shows what the end of so many windows costs.
func closing(keys int, fresh bool) plan {
	p := growing(keys, fresh)
	p.closing, p.stretches = true, p.stretches[:1]
	return p
}

// planOf reads what String wrote.
func planOf(name string, fresh bool) (plan, error) {
	var n, records int
	if _, err := fmt.Sscanf(name, "keys=%d records=%d", &n, &records); err == nil && n > 0 && records >= max(n, chunk) && records%chunk == 0 {
		return briefly(n, records, fresh), nil
	}
	if _, err := fmt.Sscanf(name, "keys=%d", &n); err == nil && n > 0 {
		return growing(n, fresh), nil
	}
	if _, err := fmt.Sscanf(name, "closing=%d", &n); err == nil && n > 0 {
		return closing(n, fresh), nil
	}
	if _, err := fmt.Sscanf(name, "commits=%d", &n); err == nil && n > 0 && n%round == 0 {
		return lasting(n, fresh), nil
	}
	return plan{}, fmt.Errorf("there is no plan %q: want keys=N, closing=N, or commits=N with a multiple of %d", name, round)
}

// String is the plan's name.
func (p plan) String() string {
	if p.closing {
		return fmt.Sprintf("closing=%d", p.keys)
	}
	if p.turnover {
		return fmt.Sprintf("commits=%d", p.commits(true))
	}
	if p.perCommit != growing(p.keys, p.fresh).perCommit {
		return fmt.Sprintf("keys=%d records=%d", p.keys, p.perCommit)
	}
	return fmt.Sprintf("keys=%d", p.keys)
}

// commits counts them, with or without those behind the stop.
func (p plan) commits(all bool) (n int) {
	for _, s := range p.stretches {
		if all || !s.last {
			n += s.commits
		}
	}
	return n
}

// stops tells whether the processes end with their keys alive.
func (p plan) stops() bool { return p.commits(true) > p.commits(false) }

// ends is the number of the first record behind what one process reads.
func (p plan) ends(resumed bool) int {
	return p.commits(resumed || !p.stops()) * p.perCommit
}

// at is the stretch of commit c, counted from 0, and how many keys the commits before
// it have touched.
func (p plan) at(c int) (s stretch, before int) {
	for _, s = range p.stretches {
		n := min(c, s.commits)
		if s.load {
			before = min(p.keys, n*p.perCommit)
		} else {
			before += n * s.touched
		}
		if c -= n; c < s.commits && n < s.commits {
			return s, before
		}
	}
	return s, before
}

// closes tells whether commit c is the last of its stretch: the source rests there, so
// that nothing is on its way while memory is looked at.
func (p plan) closes(c int) bool {
	n := 0
	for _, s := range p.stretches {
		n += s.commits
		if c == n-1 {
			return true
		}
	}
	return false
}

// event is what record i is about: the number of a key, and when it was.
func (p plan) event(i int) (key int, at int64) {
	c, j := i/p.perCommit, i%p.perCommit
	s, before := p.at(c)
	switch {
	case s.load && !p.fresh:
		key = i % p.keys
	case !p.fresh:
		key = (before + j%s.touched) % p.keys
	case s.load:
		key = min(i, p.keys-1)
	default:
		key = before + j*s.touched/p.perCommit
	}
	if !p.fresh {
		return scattered(key, p.keys), epoch(p) + int64(i)
	}
	at = epoch(p) + int64(key)
	if p.isNew(i, key) {
		return key, at
	}
	// A copy of one that is alive, from anywhere in the younger half.
	return key - scattered(i%p.keys, max(1, min(key+1, p.keys/2))), at
}

// isNew tells whether key comes for the first time with record i.
func (p plan) isNew(i, key int) bool {
	if i == 0 {
		return true
	}
	c, j := i/p.perCommit, i%p.perCommit
	s, before := p.at(c)
	switch {
	case s.load:
		return i < p.keys
	case j == 0:
		return true
	}
	return before+(j-1)*s.touched/p.perCommit < key
}

// distinct is the number of keys that all records have together.
func (p plan) distinct() int {
	n := 0
	for _, s := range p.stretches {
		switch {
		case s.load:
			n += p.keys
		case p.fresh:
			n += s.commits * s.touched
		}
	}
	return max(n, p.keys)
}

// scattered spreads 0 to n-1 over the same numbers, so that keys which come one after
// another do not lie side by side in memory.
func scattered(i, n int) int { return i * (387_420_489 % n) % n }

// epoch is the event time of the first record in milliseconds: windows are aligned to
// multiples of their size. A record, or with fresh keys a new key, is a millisecond.
func epoch(p plan) int64 {
	const about = 1_760_000_000_000
	return about - about%int64(round*p.perCommit)
}

// size is that of the windows: all of the stream in one, or the time in which the keys
// come round.
func (p plan) size() time.Duration {
	if p.turnover {
		return time.Duration(round*p.perCommit) * time.Millisecond
	}
	return 100 * 365 * 24 * time.Hour
}

// idle is after how long without a row Keyed forgets a key.
func (p plan) idle() time.Duration {
	if p.turnover {
		return p.size() * 17 / 20
	}
	return 365 * 24 * time.Hour
}

// ttl is Dedup's: as many new keys as are alive.
func (p plan) ttl() time.Duration { return time.Duration(p.keys) * time.Millisecond }
