package kinesistest

// chunkLen is how many records a chunk of a log holds: large enough to make
// chunks rare, small enough that trimming frees memory early.
const chunkLen = 256

// recordOverhead is what a record costs besides its data and key; see
// Config.MaxBytes.
const recordOverhead = 64

// record is immutable once it is in a log, so readers may use it without the
// shard's lock.
type record struct {
	at   int64 // arrival, in milliseconds since 1970
	key  string
	data []byte
}

func (r *record) size() int64 { return int64(len(r.data) + len(r.key)) }
func (r *record) cost() int64 { return r.size() + recordOverhead }

// recordLog holds the records of a shard under consecutive indexes that begin
// with 1. Chunks, and not one slice, so that growth does not copy and trimming
// frees memory.
type recordLog struct {
	chunks [][]record
	base   uint64 // index of the first place of chunks[0]
	first  uint64 // index of the oldest record kept
	next   uint64 // index of the next record to come
}

func newLog() recordLog { return recordLog{base: 1, first: 1, next: 1} }

func (l *recordLog) append(r record) (index uint64) {
	c := (l.next - l.base) / chunkLen
	if c == uint64(len(l.chunks)) {
		l.chunks = append(l.chunks, nil)
	}
	l.chunks[c] = append(l.chunks[c], r)
	l.next++
	return l.next - 1
}

// at returns the record of an index in [first, next).
func (l *recordLog) at(index uint64) *record {
	i := index - l.base
	return &l.chunks[i/chunkLen][i%chunkLen]
}

// dropFirst forgets the oldest record and returns its cost. There must be one.
func (l *recordLog) dropFirst() int64 {
	r := l.at(l.first)
	cost := r.cost()
	*r = record{}
	l.first++
	if l.first-l.base == chunkLen {
		l.chunks[0] = nil
		l.chunks = l.chunks[1:]
		l.base = l.first
	}
	return cost
}

// dropBefore forgets the records that arrived before horizon (milliseconds) up
// to the first that did not, and returns their cost.
func (l *recordLog) dropBefore(horizon int64) (freed int64) {
	for l.first < l.next && l.at(l.first).at < horizon {
		freed += l.dropFirst()
	}
	return freed
}

// read appends to dst the records from index from on, at most limit and, beyond
// the first, at most maxBytes; next is the index after the last.
func (l *recordLog) read(dst []record, from uint64, limit int, maxBytes int64) (_ []record, next uint64) {
	next = max(from, l.first)
	var size int64
	for n := 0; n < limit && next < l.next; n++ {
		r := l.at(next)
		size += r.size()
		if n > 0 && size > maxBytes {
			break
		}
		dst = append(dst, *r)
		next++
	}
	return dst, next
}

// since returns the index of the first record that arrived at or after a time in
// milliseconds, or that of the next record to come. It looks at all records: a
// clock that steps back leaves arrival times unsorted.
func (l *recordLog) since(at int64) uint64 {
	i := l.first
	for i < l.next && l.at(i).at < at {
		i++
	}
	return i
}
