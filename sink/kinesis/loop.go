package kinesis

import (
	"math/bits"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// loop sends what is due until the producer is closed.
func (p *Producer) loop() {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-p.wake:
		case <-t.C:
		case <-p.ctx.Done():
			return
		}
		p.mu.Lock()
		next := p.dispatch(time.Now())
		p.mu.Unlock()
		if next.IsZero() {
			t.Stop()
		} else {
			t.Reset(time.Until(next))
		}
	}
}

// dispatch starts the requests that are due, and returns when to look again; zero
// means not before something happens.
func (p *Producer) dispatch(now time.Time) (next time.Time) {
	earlier := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if p.err != nil || p.closed {
		return next
	}
	linger := max(0, p.remote.cfg.Linger)
	hurry := p.flushing > 0 || p.blocked > 0
	if p.pack != nil {
		if !p.settled() {
			return next // until the shards are known, and no request is under way
		}
		earlier(p.pack.seal(&p.queue, now, linger, hurry))
	}
	earlier(p.queue.wakeUp(now))
	if p.notYet.After(now) {
		earlier(p.notYet)
		return next
	}
	for p.inWay < p.remote.cfg.Requests && p.queue.ready.n > 0 {
		if due := p.queue.oldest.Add(linger); !hurry && !p.queue.full() && due.After(now) {
			earlier(due)
			break
		}
		batch, size := p.queue.take()
		p.inWay++
		p.wg.Go(func() { p.send(batch, size) })
	}
	return next
}

// send makes one request and enters its outcome.
func (p *Producer) send(batch []*item, size int) {
	entries := make([]types.PutRecordsRequestEntry, len(batch))
	for i, it := range batch {
		entries[i] = types.PutRecordsRequestEntry{PartitionKey: &it.key, Data: it.data}
		if it.hash != "" {
			entries[i].ExplicitHashKey = &it.hash
		}
	}
	answer, err := p.remote.put(p.ctx, entries, size)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inWay--
	p.stats.Requests++
	if p.ctx.Err() == nil {
		p.enter(batch, answer, err, time.Now())
	}
	p.move()
	p.poke()
}

// enter notes what became of a request.
func (p *Producer) enter(batch []*item, answer []types.PutRecordsResultEntry, err error, now time.Time) {
	failed := 0
	for i, it := range batch {
		why := again
		if err != nil {
			why = judge(err)
		} else if code := aws.ToString(answer[i].ErrorCode); code == "" {
			p.taken(it, aws.ToString(answer[i].ShardId))
			continue
		} else if code == "ProvisionedThroughputExceededException" {
			why = throttled
		}
		if why == throttled {
			p.stats.Throttled++
		} else {
			p.stats.Repeated++
		}
		failed++
		it.try++
		p.queue.again(it, now.Add(backoff(p.name, it.try)))
	}
	if failed < len(batch) {
		p.fails = 0
		return
	}
	// Nothing was taken: no other request will fare better now.
	if p.fails == 0 {
		p.failing = now
	}
	p.fails++
	p.notYet = now.Add(backoff(p.name, p.fails))
	if err == nil {
		return
	}
	if p.err = p.remote.final("PutRecords", err, p.fails, p.failing); p.err != nil {
		return
	}
	if bits.OnesCount(uint(p.fails)) == 1 {
		p.remote.cfg.Log.Warn("kinesis did not take records; trying again", "stream", p.remote.cfg.Stream, "error", err, "records", len(batch), "try", p.fails)
	}
}

// taken notes that a record is in the stream.
func (p *Producer) taken(it *item, shard string) {
	if it.packed != nil && !p.pack.landed(it, shard) {
		return // its records may have to be sent anew
	}
	p.acknowledge(it)
	p.queue.done(it)
}

func (p *Producer) acknowledge(it *item) {
	p.held -= it.n
	p.bytes -= it.cost
	p.stats.Records += it.n
	p.stats.Bytes += it.size
}
