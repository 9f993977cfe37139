package kinesis

import "time"

// itemBytes is what an item costs beside key and payload.
const itemBytes = 256

// item is what becomes one record of the stream.
type item struct {
	next *item
	key  string    // partition key
	hash string    // explicit hash key, "" for none
	data []byte    // payload
	gate string    // items of one gate are sent one after another
	at   time.Time // when its first record was taken
	try  int

	n    int64 // user records in it
	cost int64 // of these, in bytes of the buffer
	size int64 // of these, keys and payloads

	packed *packed // nil if it is no aggregate
}

// alone tells whether it is the first record of a group.
func (it *item) alone() bool { return it.data == nil && it.n == 1 && it.gate != "" }

func (it *item) wire() int { return len(it.key) + len(it.data) }

// list is items one behind another.
type list struct {
	head, tail *item
	n, bytes   int
}

func (l *list) push(it *item) {
	it.next = nil
	if l.tail == nil {
		l.head = it
	} else {
		l.tail.next = it
	}
	l.tail = it
	l.n++
	l.bytes += it.wire()
}

func (l *list) pop() *item {
	it := l.head
	if it == nil {
		return nil
	}
	if l.head = it.next; l.head == nil {
		l.tail = nil
	}
	it.next = nil
	l.n--
	l.bytes -= it.wire()
	return it
}

// queue holds items until they are acknowledged. Of one gate at most one item is
// past it at a time: ready, on its way, or about to be repeated. That alone keeps
// the order, whatever fails.
type queue struct {
	ready   list
	retries []retry          // waiting for their time
	gates   map[string]*list // of those past the gate, what waits behind; nil without order
	oldest  time.Time        // of ready, or before
}

// retry is items of one request that are to be sent again together.
type retry struct {
	due time.Time
	list
}

func newQueue(ordered bool) (q queue) {
	if ordered {
		q.gates = map[string]*list{}
	}
	return q
}

// add takes an item.
func (q *queue) add(it *item) {
	if q.gates != nil {
		if behind, ok := q.gates[it.gate]; ok {
			if behind == nil {
				behind = new(list)
				q.gates[it.gate] = behind
			}
			behind.push(it)
			return
		}
		q.gates[it.gate] = nil
	}
	q.enter(it)
}

func (q *queue) enter(it *item) {
	if q.ready.n == 0 || it.at.Before(q.oldest) {
		q.oldest = it.at
	}
	q.ready.push(it)
}

// done lets the next item of the gate pass.
func (q *queue) done(it *item) {
	if q.gates == nil {
		return
	}
	behind := q.gates[it.gate]
	if behind == nil || behind.n == 0 {
		delete(q.gates, it.gate)
		return
	}
	q.enter(behind.pop())
}

// again keeps an item that failed, and its gate shut.
func (q *queue) again(it *item, due time.Time) {
	for i := len(q.retries) - 1; i >= 0; i-- {
		if q.retries[i].due.Equal(due) {
			q.retries[i].push(it)
			return
		}
	}
	q.retries = append(q.retries, retry{due: due})
	q.retries[len(q.retries)-1].push(it)
}

// wakeUp makes those ready whose time has come, and returns the time of the next.
func (q *queue) wakeUp(now time.Time) (next time.Time) {
	left := q.retries[:0]
	for _, r := range q.retries {
		if !r.due.After(now) {
			for it := r.pop(); it != nil; it = r.pop() {
				q.enter(it)
			}
			continue
		}
		left = append(left, r)
		if next.IsZero() || r.due.Before(next) {
			next = r.due
		}
	}
	clear(q.retries[len(left):])
	q.retries = left
	return next
}

// full tells whether what is ready fills a request.
func (q *queue) full() bool {
	return q.ready.n >= maxRequestRecords || q.ready.bytes >= fullRequest
}

// take removes what one request can hold.
func (q *queue) take() (batch []*item, size int) {
	for it := q.ready.head; it != nil && len(batch) < maxRequestRecords; it = q.ready.head {
		if len(batch) > 0 && size+it.wire() > maxRequestBytes {
			break
		}
		size += it.wire()
		batch = append(batch, q.ready.pop())
	}
	if !q.full() && q.ready.n > 0 {
		q.oldest = q.ready.head.at
		for it := q.ready.head.next; it != nil; it = it.next {
			if it.at.Before(q.oldest) {
				q.oldest = it.at
			}
		}
	}
	return batch, size
}
