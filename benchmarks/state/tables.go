package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

func (r runs) print(out *sheet) {
	r.costs(out)
	r.snapshots(out)
	r.memory(out)
	r.restores(out)
	r.ends(out)
	r.lengths(out)
}

// measured are the sides that are stages.
func measured() []side {
	return slices.DeleteFunc(sides(), func(s side) bool { return s.without == "" })
}

// figure is a number of each round, and prints as the median with the least and the most.
type figure []float64

func (f figure) median() float64 {
	if len(f) == 0 {
		return 0
	}
	x := slices.Sorted(slices.Values(f))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

// String is without the spread where that is nothing.
func (f figure) String() string {
	if len(f) == 0 {
		return "-"
	}
	m, lo, hi := short(f.median()), short(slices.Min(f)), short(slices.Max(f))
	if lo == hi {
		return m
	}
	return fmt.Sprintf("%s (%s to %s)", m, lo, hi)
}

func short(x float64) string {
	if x > -10 && x < 10 && x != float64(int64(x)) {
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}

// each is f of every round.
func (r runs) each(plan, side string, f func(pair) float64) (out figure) {
	for _, p := range r[[2]string{plan, side}] {
		out = append(out, f(p))
	}
	return out
}

// less is f of every round less the median of the same without the stage.
func (r runs) less(plan string, s side, f func(pair) float64) figure {
	base := r.each(plan, s.without, f).median()
	return r.each(plan, s.name, func(p pair) float64 { return f(p) - base })
}

// per divides.
func (f figure) per(n int) (out figure) {
	for _, x := range f {
		out = append(out, x/float64(n))
	}
	return out
}

// within are the commits of a stretch.
func within(p plan, o outcome, name string) []Commit {
	at := 0
	for _, s := range p.stretches {
		if s.name == name {
			return o.Commits[at : at+s.commits]
		}
		at += s.commits
	}
	return nil
}

func total(cs []Commit, f func(Commit) int64) (n float64) {
	for _, c := range cs {
		n += float64(f(c))
	}
	return n
}

func (r runs) costs(out *sheet) {
	out.printf("## CPU per record\n\nIn ns, user and system, garbage collection included, less the same pipeline without the stage: between commits + in commits (snapshots and their writing). ")
	out.printf("100,000 records a commit, what a full shard brings in 100 s. 1 %% and 10 %% are the keys that change from one commit to the next.\n\n")
	out.printf("| stage | live keys | every key new | 1 %% change | 10 %% change |\n|---|--:|--:|--:|--:|\n")
	for _, s := range measured() {
		for _, n := range keyCounts {
			p := growing(n, s.fresh)
			out.printf("| %s | %s |", s.title, thousands(n))
			for _, name := range []string{loading, touching1, touching2} {
				records := len(within(p, r[[2]string{p.String(), s.name}][0].run, name)) * p.perCommit
				push := r.less(p.String(), s, func(x pair) float64 {
					return total(within(p, x.run, name), func(c Commit) int64 { return c.Push.CPU })
				}).per(records)
				all := r.less(p.String(), s, func(x pair) float64 {
					return total(within(p, x.run, name), func(c Commit) int64 { return c.All.CPU })
				}).per(records)
				out.printf(" %v + %v |", push, all)
			}
			out.printf("\n")
		}
	}
	for _, s := range sides() {
		if s.without != "" {
			continue
		}
		p := growing(keyCounts[len(keyCounts)-1], s.fresh)
		out.printf("\nWhat is taken off, %s: %v ns a record.\n", s.title, r.each(p.String(), s.name, func(x pair) float64 {
			return total(within(p, x.run, touching1), func(c Commit) int64 { return c.Push.CPU + c.All.CPU })
		}).per(8*p.perCommit))
	}
}

// sum is of all commits of a stretch that are whole, or that are not.
func sum(p plan, o outcome, name string, whole bool, f func(Commit) int64) (n, of float64) {
	for _, c := range within(p, o, name) {
		if c.Whole == whole {
			n, of = n+float64(f(c)), of+1
		}
	}
	return n, cmp.Or(of, 1)
}

func (r runs) snapshots(out *sheet) {
	out.printf("\n## Snapshots\n\nMeans of the commits of each kind. CPU is that of the process meanwhile, so garbage collection that other work brought about is in it. ")
	out.printf("Writing is the commit in the lease store, fsync included, on the wall. For Dedup a changed key is one new and one forgotten.\n\n")
	out.printf("| stage | live keys | snapshot | keys in it | bytes | bytes a key | CPU ns a key | ms | writing, ms |\n|---|--:|---|--:|--:|--:|--:|--:|--:|\n")
	for _, s := range measured() {
		for _, n := range keyCounts {
			p := growing(n, s.fresh)
			for _, kind := range []struct {
				name, stretch string
				whole         bool
				keys          int
			}{{"whole", touching2, true, n}, {"1 %", touching1, false, n / 100}, {"10 %", touching2, false, n / 10}} {
				mean := func(f func(Commit) int64) figure {
					return r.each(p.String(), s.name, func(x pair) float64 {
						n, of := sum(p, x.run, kind.stretch, kind.whole, f)
						return n / of
					})
				}
				b := mean(func(c Commit) int64 { return c.Bytes })
				if kind.keys == 0 || b.median() == 0 {
					continue // one key makes no delta
				}
				out.printf("| %s | %s | %s | %s | %s | %v | %v | %v | %v |\n", s.title, thousands(n), kind.name, thousands(kind.keys), thousands(int(b.median())), b.per(kind.keys),
					mean(func(c Commit) int64 { return c.Snapshot.CPU }).per(kind.keys), mean(func(c Commit) int64 { return c.Snapshot.Wall }).per(1e6),
					mean(func(c Commit) int64 { return c.Write.Wall }).per(1e6))
			}
		}
	}
}

func (r runs) memory(out *sheet) {
	out.printf("\n## Memory\n\nBytes a live key: of the heap after garbage collection, less that without the stage, and as the states say (Bytes, which the budget of the task goes by). A key is text of %d bytes, a row four numbers, 32 bytes; both are in it.\n\n", keyBytes)
	out.printf("| stage | live keys | after the load | after 8 commits of 1 %% | after 8 of 10 %% | restored | Bytes says |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, s := range measured() {
		for _, n := range keyCounts {
			p := growing(n, s.fresh).String()
			out.printf("| %s | %s |", s.title, thousands(n))
			for i := range 3 {
				out.printf(" %v |", r.heap(p, s, n, func(x pair) Spot { return x.run.Spots[i] }))
			}
			out.printf(" %v | %v |\n", r.heap(p, s, n, func(x pair) Spot { return x.resumed.Spots[0] }),
				r.each(p, s.name, func(x pair) float64 { return float64(x.run.Spots[2].Says) }).per(n))
		}
	}
}

// heap is the bytes of a key, or nothing where what all else takes hides them.
func (r runs) heap(p string, s side, keys int, spot func(pair) Spot) figure {
	if keys < 1000 {
		return nil
	}
	return r.less(p, s, func(x pair) float64 { return float64(spot(x).Heap) }).per(keys)
}

func (r runs) restores(out *sheet) {
	out.printf("\n## Restore\n\nIn a new process: from Run to the first fetch, with the leases read, and of that making the stage, which takes its entries.\n\n")
	out.printf("| stage | live keys | Run to the first fetch, ms | the stage, ms | the stage, CPU ns a key |\n|---|--:|--:|--:|--:|\n")
	for _, s := range measured() {
		for _, n := range keyCounts {
			p := growing(n, s.fresh).String()
			out.printf("| %s | %s | %v | %v | %v |\n", s.title, thousands(n), r.each(p, s.name, func(x pair) float64 { return float64(x.resumed.First.Wall) }).per(1e6),
				r.each(p, s.name, func(x pair) float64 { return float64(x.resumed.Open.Wall) }).per(1e6),
				r.each(p, s.name, func(x pair) float64 { return float64(x.resumed.Open.CPU) }).per(n))
		}
	}
}

func (r runs) ends(out *sheet) {
	out.printf("\n## All keys end at once\n\nCPU ns a key for one mark that closes all windows or forgets all keys: the stage, with what it gives out.\n\n| stage |")
	for _, n := range closings {
		out.printf(" %s keys |", thousands(n))
	}
	out.printf("\n|---|--:|--:|--:|\n")
	for _, s := range measured() {
		out.printf("| %s |", s.title)
		for _, n := range closings {
			out.printf(" %v |", r.each(closing(n, s.fresh).String(), s.name, func(x pair) float64 { return float64(x.run.Commits[len(x.run.Commits)-1].Close.CPU) }).per(n))
		}
		out.printf("\n")
	}
}

func (r runs) lengths(out *sheet) {
	out.printf("\n## Length of the stream\n\n10,000 live keys, of which a tenth changes from commit to commit and none lives longer than about ten: windows end, keys are forgotten and come again. At the end of each length: bytes of heap a key, bytes a key that the states say, bytes of the last %d snapshots, CPU ns a record of the last %d commits, all less the same without the stage.\n\n", round, round)
	out.printf("| stage | commits | records | heap | Bytes says | snapshots | CPU |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, s := range measured() {
		for _, n := range lengths {
			p := lasting(n, s.fresh)
			name := p.String()
			last := func(x pair) []Commit { return within(p, x.run, touching2)[n-round:] }
			out.printf("| %s | %d | %s | %v | %v | %v | %v |\n", s.title, n, thousands(p.ends(true)), r.heap(name, s, p.keys, func(x pair) Spot { return x.run.Spots[0] }),
				r.each(name, s.name, func(x pair) float64 { return float64(x.run.Spots[0].Says) }).per(p.keys),
				r.each(name, s.name, func(x pair) float64 { return total(last(x), func(c Commit) int64 { return c.Bytes }) }),
				r.less(name, s, func(x pair) float64 { return total(last(x), func(c Commit) int64 { return c.Push.CPU + c.All.CPU }) }).per(round*p.perCommit))
		}
	}
}

// thousands groups digits.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
