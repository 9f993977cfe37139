package kinesistest

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// Limits of an answer, from the API reference of GetRecords.
const (
	maxGetRecords      = 10_000
	maxGetRecordsBytes = 10 << 20
)

// overlapLen is how many records the fault Overlap repeats.
const overlapLen = 10

func (s *Server) getShardIterator(c *call) *Error {
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	st.mu.RLock()
	defer st.mu.RUnlock()
	if err := s.writable(st, c.now); err != nil {
		return err
	}
	sh := st.shardNamed(c.req.ShardId, c.now)
	if sh == nil {
		return s.shardNotFound(st, c.req.ShardId)
	}
	s.trim(st, sh, c.now)
	index, err := s.position(c, st, sh)
	if err != nil {
		return err
	}
	if c.req.DryRun {
		return dryRunSucceeded()
	}
	it := iterator{stream: st.id, shard: sh.id, index: index, created: c.now.UnixMilli()}
	return c.answer(object{"ShardIterator": it.String()})
}

// position finds the index that an iterator of the requested type begins with.
// A place that has been trimmed is no error: reading goes on with the oldest
// record, as on AWS. The stream's lock is held.
func (s *Server) position(c *call, st *stream, sh *shard) (uint64, *Error) {
	r := &c.req
	typ := r.ShardIteratorType
	switch typ {
	case "TRIM_HORIZON", "LATEST":
		if r.StartingSequenceNumber != "" {
			return 0, invalidArgument("Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or "+
				"(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified %s and also a StartingSequenceNumber.", typ)
		}
		if typ == "TRIM_HORIZON" {
			return 0, nil
		}
		sh.mu.Lock()
		defer sh.mu.Unlock()
		return sh.log.next, nil
	case "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER":
		if r.StartingSequenceNumber == "" {
			return 0, invalidArgument("Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or "+
				"(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified %s and no StartingSequenceNumber.", typ)
		}
		index, err := s.indexOf(c, st, sh, r.StartingSequenceNumber)
		if err == nil && typ == "AFTER_SEQUENCE_NUMBER" {
			index++
		}
		return index, err
	case "AT_TIMESTAMP":
		if r.Timestamp == nil {
			return 0, invalidArgument("Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP.")
		}
		at := millis(*r.Timestamp)
		if at > c.now.UnixMilli() {
			return 0, invalidArgument("The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "+
				"timestampInMillis: %d, currentTimestampInMillis: %d", at, c.now.UnixMilli())
		}
		sh.mu.Lock()
		defer sh.mu.Unlock()
		return sh.log.since(at), nil
	}
	return 0, violation("shardIteratorType", "Member must satisfy enum value set: "+
		"[AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]")
}

// indexOf reads a sequence number that must be of this shard.
func (s *Server) indexOf(c *call, st *stream, sh *shard, number string) (uint64, *Error) {
	q, ok := parseSequence(number)
	switch {
	case !ok:
		return 0, invalidArgument("StartingSequenceNumber %s used in %s on shard %s in stream %s under account %s is invalid.",
			number, c.op, sh.name, st.name, s.config.Account)
	case q.shard != sh.id:
		return 0, invalidArgument("Invalid StartingSequenceNumber. It encodes %s, while it was used in a call to a shard with %s",
			shardName(q.shard), sh.name)
	case q.epoch != sh.epoch:
		return 0, invalidArgument("StartingSequenceNumber %s used in %s on shard %s in stream %s under account %s is invalid "+
			"because it did not come from this stream.", number, c.op, sh.name, st.name, s.config.Account)
	}
	return q.index, nil
}

// reading is what GetRecords answers with.
type reading struct {
	shard    *shard
	first    uint64   // index of records[0]
	records  []record // in pooled memory
	next     uint64
	behind   int64 // milliseconds
	ended    bool
	children []object
}

func (s *Server) getRecords(c *call) *Error {
	if !c.hasIter {
		return invalidArgument("Invalid ShardIterator.")
	}
	if c.iter.expired(c.now, s.config.IteratorTTL) {
		return failure(codeExpiredIterator, "Iterator expired. The iterator was created at time %s while right now it is %s "+
			"which is further in the future than the tolerated delay of %d milliseconds.",
			utc(time.UnixMilli(c.iter.created)), utc(c.now), s.config.IteratorTTL.Milliseconds())
	}
	limit := maxGetRecords
	if c.req.Limit != nil {
		limit = *c.req.Limit
	}
	if limit < 1 || limit > maxGetRecords {
		return invalidArgument("Limit must be between 1 and %d, and is %d.", maxGetRecords, limit)
	}
	st := s.streamByID(c.iter.stream)
	if st == nil || s.sweep(st, c.now) {
		return failure(codeNotFound, "The stream of the shard iterator has been deleted.")
	}
	if c.req.StreamARN != "" && c.req.StreamARN != st.arn {
		return invalidArgument("StreamARN %s is not that of the shard iterator, which is %s.", c.req.StreamARN, st.arn)
	}
	if c.req.DryRun {
		return dryRunSucceeded()
	}
	scratch := s.scratch.Get().(*[]record)
	defer func() {
		clear(*scratch)
		s.scratch.Put(scratch)
	}()
	got := reading{records: (*scratch)[:0]}
	if err := s.read(c, st, limit, &got); err != nil {
		return err
	}
	*scratch = got.records
	return s.answerRecords(c, st, &got)
}

// read copies the records out of the shard, so that its lock is free while they
// are encoded.
func (s *Server) read(c *call, st *stream, limit int, got *reading) *Error {
	st.mu.RLock()
	defer st.mu.RUnlock()
	sh := st.shardNumbered(c.iter.shard, c.now)
	if sh == nil {
		return s.shardNotFound(st, shardName(c.iter.shard))
	}
	s.trim(st, sh, c.now)
	got.shard = sh

	sh.mu.Lock()
	defer sh.mu.Unlock()
	l := &sh.log
	if s.config.Limits && !sh.limits.allowRead(c.now) {
		return s.tooMuch(st.name, sh.name)
	}
	from := max(c.iter.index, l.first)
	switch {
	case c.spoils(EmptyAnswer):
		limit = 0
	case c.spoils(Overlap):
		from = max(l.first, from-min(from, overlapLen))
	}
	got.first = from
	got.records, got.next = l.read(got.records, from, limit, maxGetRecordsBytes)
	if got.next < l.next {
		// How old the newest record read is, or the oldest to come if none was. Never
		// 0, which says that there is no more, however coarse the clock.
		at := l.at(got.next).at
		if n := len(got.records); n > 0 {
			at = got.records[n-1].at
		}
		got.behind = max(1, c.now.UnixMilli()-at)
	}
	got.ended = sh.isClosed && got.next >= l.next && !c.spoils(EmptyAnswer)
	if got.ended {
		for _, child := range sh.children {
			got.children = append(got.children, childObject(child))
		}
	}
	for i := range got.records {
		c.event.Bytes += int64(len(got.records[i].data))
	}
	c.event.Records = len(got.records)
	if s.config.Limits {
		sh.limits.didRead(c.now, c.event.Bytes)
	}
	return nil
}

// answerRecords writes the answer.
func (s *Server) answerRecords(c *call, st *stream, got *reading) *Error {
	size := int64(0)
	for i := range got.records {
		size += got.records[i].size()
	}
	// Base64 and 200 bytes a record, so that the buffer grows once.
	b := slices.Grow(c.out.b, int(size)/3*4+200*len(got.records)+1024)
	b = append(b, `{"MillisBehindLatest":`...)
	b = strconv.AppendInt(b, got.behind, 10)
	switch {
	case c.spoils(FalseEnd):
	case got.ended:
		children, err := json.Marshal(got.children)
		if err != nil {
			return asError(err)
		}
		b = append(b, `,"ChildShards":`...)
		b = append(b, children...)
	default:
		it := iterator{stream: st.id, shard: got.shard.id, index: got.next, created: c.now.UnixMilli()}
		b = append(b, `,"NextShardIterator":"`...)
		b = append(b, it.String()...)
		b = append(b, '"')
	}
	b = append(b, `,"Records":[`...)
	n := len(got.records)
	for i := range got.records {
		if i > 0 {
			b = append(b, ',')
		}
		k := i
		if c.spoils(OutOfOrder) {
			k = n - 1 - i
		}
		b = appendRecord(b, got.shard, got.first+uint64(k), &got.records[k])
	}
	c.out.b = append(b, `]}`...)
	return nil
}
