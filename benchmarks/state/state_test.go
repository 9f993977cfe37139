package main

import (
	"testing"
)

// Every side reads all of its stream, and what comes out of it adds up, over a stop and a
// start too: otherwise there is nothing to compare.
func TestSidesDoTheirWork(t *testing.T) {
	for _, name := range []string{"keys=1000 records=10000", "closing=1000", "commits=20"} {
		for _, s := range sides() {
			p, err := planOf(name, s.fresh)
			if err != nil {
				t.Fatal(err)
			}
			j := job{side: s.name, plan: name, folder: t.TempDir()}
			var x pair
			if x.run, err = j.run(t.Context()); err != nil {
				t.Fatalf("%s, %s: %v", s.name, name, err)
			}
			if p.stops() {
				j.resume = true
				if x.resumed, err = j.run(t.Context()); err != nil {
					t.Fatalf("%s, %s, resumed: %v", s.name, name, err)
				}
			}
			if err := check(s, p, x.run.Rows+x.resumed.Rows, x.run.Count+x.resumed.Count); err != nil {
				t.Error(err)
			}
			if len(x.run.Spots) == 0 || s.without != "" && x.run.Spots[0].Says == 0 {
				t.Errorf("%s, %s: no memory was seen", s.name, name)
			}
		}
	}
}

// The stream is what the tables say of it: all keys are loaded, and so many change from
// one commit to the next.
func TestPlanTouchesWhatItSays(t *testing.T) {
	for _, name := range []string{"keys=1", "keys=1000", "keys=25000 records=30000", "commits=20"} {
		for _, fresh := range []bool{false, true} {
			p, err := planOf(name, fresh)
			if err != nil {
				t.Fatal(err)
			}
			all := map[int]bool{}
			var before int64
			for c := range p.commits(true) {
				s, _ := p.at(c)
				changed := map[int]bool{}
				for i := c * p.perCommit; i < (c+1)*p.perCommit; i++ {
					key, at := p.event(i)
					if at < before {
						t.Fatalf("%s, fresh %v: record %d goes back in time", name, fresh, i)
					}
					before = at
					if !fresh || !all[key] {
						changed[key] = true
					}
					all[key] = true
				}
				if !s.load && len(changed) != s.touched {
					t.Errorf("%s, fresh %v, commit %d: %d keys change, want %d", name, fresh, c, len(changed), s.touched)
				}
			}
			if len(all) != p.distinct() {
				t.Errorf("%s, fresh %v: %d keys in all, want %d", name, fresh, len(all), p.distinct())
			}
		}
	}
}

func TestPlanOfRefuses(t *testing.T) {
	for _, name := range []string{"", "keys=0", "keys=-1", "commits=15", "rows=4"} {
		if p, err := planOf(name, false); err == nil {
			t.Errorf("%q is taken for %v", name, p)
		}
	}
}
