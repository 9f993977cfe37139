package shardlake

import (
	"fmt"
	"slices"
	"strings"
)

// keeping is one state, and what the last commit holds of it.
type keeping struct {
	state  State
	chain  []link // nil makes the next snapshot whole
	number int    // of the newest segment
}

// link is a segment of the last commit.
type link struct{ number, size int }

// A chain begins anew when it has grown to maxChain segments, or when what changed
// since its first has come to half the size of that. Below smallState a delta is
// not worth a segment.
const (
	maxChain   = 24
	smallState = 4 << 10
)

// Keep makes s part of every commit and restores what the last commit held.
// The key is the name given by stage.Named, otherwise els, which must follow
// from what the state is and never from where the stage stands in the chain:
// then reordering stages between two deployments cannot mix up their states.
func (e *Env) Keep(els string, s State) error {
	name := e.Name(els)
	if name == "" || strings.Contains(name, "\x00") {
		return fmt.Errorf("state is kept under a name, not %q", name)
	}
	if _, dup := e.l.kept[name]; dup {
		return fmt.Errorf("two stages keep state as %q: give each its own name with stage.Named", name)
	}
	if e.l.broken != nil {
		return e.l.broken
	}
	k := &keeping{state: s}
	e.l.kept[name] = k
	whole := false
	for _, seg := range e.l.chains[name] {
		err := seg.restore(s)
		if err != nil {
			return fmt.Errorf("restore the state of %q: %w", name, err)
		}
		k.number = seg.number
		k.chain = append(k.chain, link{seg.number, len(seg.data)})
		whole = whole || seg.kind == kindInherited || seg.schema != s.Schema()
	}
	if whole {
		k.chain = nil
	}
	delete(e.l.chains, name)
	return nil
}

// restore gives s the entries. A panic, of a user's type that reads itself, is an error.
func (s segment) restore(into State) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return s.each(func(e Entry) error { return into.Restore(s.schema, e, s.kind == kindInherited) })
}

// snapshot is that of the state, with a panic as an error.
func (k *keeping) snapshot(whole bool, put func(Entry)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return k.state.Snapshot(whole, put)
}

// Orphans lists restored states that no stage claimed, sorted. It fails if what the
// last commit holds cannot be read.
func (e *Env) Orphans() (names []string, err error) {
	for name := range e.l.chains {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, e.l.broken
}

// Snapshot takes what has changed in all kept states. The lane calls it after a
// commit mark; a commit that then fails is the lane's end.
func (e *Env) Snapshot() (Kept, error) {
	if e.l.broken != nil {
		return nil, e.l.broken
	}
	if len(e.l.kept) == 0 {
		return nil, nil
	}
	out := Kept{}
	for name, k := range e.l.kept {
		b, err := k.next()
		if err != nil {
			return nil, fmt.Errorf("snapshot of %q: %w", name, err)
		}
		for _, l := range k.chain {
			out[segmentKey(name, l.number)] = nil
		}
		if b != nil {
			out[segmentKey(name, k.number)] = b
		}
	}
	return out, nil
}

// next makes the segment that the chain goes on with, or nil if it has nothing to
// say.
func (k *keeping) next() ([]byte, error) {
	kind := byte(kindDelta)
	if k.full() {
		kind, k.chain = kindWhole, nil
	}
	b := beginSegment(nil, kind, k.state.Schema())
	begun := len(b)
	if err := k.snapshot(kind == kindWhole, func(e Entry) { b = appendEntry(b, e) }); err != nil {
		return nil, err
	}
	if len(b) == begun {
		return nil, nil
	}
	k.number++
	k.chain = append(k.chain, link{k.number, len(b) - begun})
	return endSegment(b), nil
}

// full tells whether the next snapshot is of everything.
func (k *keeping) full() bool {
	if len(k.chain) == 0 || len(k.chain) >= maxChain || k.chain[0].size < smallState {
		return true
	}
	changed := 0
	for _, l := range k.chain[1:] {
		changed += l.size
	}
	return changed > k.chain[0].size/2
}

// StateBytes adds up what the kept states say they hold. Only the host calls it.
func (e *Env) StateBytes() (n int64) {
	for _, k := range e.l.kept {
		n += k.state.Bytes()
	}
	return n
}
