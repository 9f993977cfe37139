package kinesistest

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// Limits of a request, from the API reference of PutRecords.
const (
	maxPutRecords      = 500
	maxPutRecordsBytes = 10 << 20
	maxPartitionKey    = 256 // characters
)

// hash is the key that routes the record.
func (e *entry) hash() (hashKey, *Error) {
	if e.ExplicitHashKey == "" {
		return hashOf(e.PartitionKey), nil
	}
	h, ok := parseHashKey(e.ExplicitHashKey)
	if !ok {
		return h, invalidArgument("Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. "+
			"Specified value was %s", e.ExplicitHashKey)
	}
	return h, nil
}

// check tells whether the stream can take the record, and its hash key. The
// stream's lock is held. member says where the record is in the request.
func (e *entry) check(st *stream, member string) (hashKey, *Error) {
	if n := utf8.RuneCountInString(e.PartitionKey); n < 1 || n > maxPartitionKey {
		return hashKey{}, violation(member+"partitionKey", "Member must have length between 1 and %d, and has %d", maxPartitionKey, n)
	}
	if !utf8.ValidString(e.PartitionKey) {
		return hashKey{}, violation(member+"partitionKey", "Member must be valid UTF-8")
	}
	if e.size() > int64(st.maxRecord) {
		return hashKey{}, violation(member+"data", "Member and partition key must have together a length of at most %d, and have %d", st.maxRecord, e.size())
	}
	return e.hash()
}

// store appends a record that has been checked and for which memory is reserved.
// The stream's lock is held; limited applies the throughput limits.
func (s *Server) store(st *stream, sh *shard, e *entry, now time.Time, limited bool) (sequence, *Error) {
	freed := int64(0)
	defer func() { s.release(freed) }()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if limited && !sh.limits.allowWrite(now, e.size()) {
		return sequence{}, s.tooMuch(st.name, sh.name)
	}
	freed = sh.log.dropBefore(now.Add(-st.retention).UnixMilli())
	at := now.UnixMilli()
	index := sh.log.append(record{at: at, key: e.PartitionKey, data: e.Data})
	sh.tell()
	return sh.sequence(index, at), nil
}

func (e *entry) cost() int64 { return e.size() + recordOverhead }

// writable tells whether records can be put now. The stream's lock is held.
func (s *Server) writable(st *stream, now time.Time) *Error {
	if st.gone(now) || st.status(now) == statusCreating {
		return failure(codeNotFound, "Stream %s under account %s not found.", st.name, s.config.Account)
	}
	return nil
}

func (s *Server) putRecord(c *call) *Error {
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	e := &c.req.entry
	if ordering := c.req.SequenceNumberForOrdering; ordering != "" {
		// Numbers always increase here, so the parameter is only checked.
		if _, ok := parseSequence(ordering); !ok {
			return invalidArgument("ExclusiveMinimumSequenceNumber %s used in PutRecord on stream %s under account %s is invalid.",
				ordering, st.name, s.config.Account)
		}
	}
	sh, seq, err := s.put(st, e, c.now, s.config.Limits, c.req.DryRun)
	if err != nil {
		return err
	}
	c.event.Shard = sh.name
	c.event.Records, c.event.Bytes = 1, int64(len(e.Data))
	b := append(c.out.b, `{"ShardId":"`...)
	b = append(b, sh.name...)
	b = append(b, `","SequenceNumber":"`...)
	b = seq.appendTo(b)
	b = append(b, '"')
	st.mu.RLock()
	c.out.b = append(b, st.closing()...)
	st.mu.RUnlock()
	return nil
}

// put stores one record.
func (s *Server) put(st *stream, e *entry, now time.Time, limited, dryRun bool) (*shard, sequence, *Error) {
	if err := s.reserve(now, e.cost()); err != nil {
		return nil, sequence{}, err
	}
	sh, seq, err := s.putReserved(st, e, now, limited, dryRun)
	if err != nil {
		s.release(e.cost())
	}
	return sh, seq, err
}

func (s *Server) putReserved(st *stream, e *entry, now time.Time, limited, dryRun bool) (*shard, sequence, *Error) {
	st.mu.RLock()
	defer st.mu.RUnlock()
	if err := s.writable(st, now); err != nil {
		return nil, sequence{}, err
	}
	h, err := e.check(st, "")
	if err != nil {
		return nil, sequence{}, err
	}
	if dryRun {
		return nil, sequence{}, dryRunSucceeded()
	}
	sh := st.route(h)
	seq, err := s.store(st, sh, e, now, limited)
	return sh, seq, err
}

// closing ends an answer to a put.
func (st *stream) closing() string {
	if st.key != "" {
		return `,"EncryptionType":"KMS"}`
	}
	return "}"
}

func dryRunSucceeded() *Error {
	return failure(codeDryRun, "Request would have succeeded, but the DryRun flag is set.")
}

func (s *Server) putRecords(c *call) *Error {
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	records := c.req.Records
	if n := len(records); n < 1 || n > maxPutRecords {
		return violation("records", "Member must have length between 1 and %d, and has %d", maxPutRecords, n)
	}
	var size, cost int64
	for i := range records {
		size += records[i].size()
		cost += records[i].cost()
	}
	if size > maxPutRecordsBytes {
		return invalidArgument("Records size exceeds 10 MB limit")
	}
	if err := s.reserve(c.now, cost); err != nil {
		return err
	}
	stored, err := s.putAll(c, st)
	s.release(cost - stored)
	return err
}

// putAll checks all records before it stores any, stores them in order, and
// writes the answer. It returns the cost of those stored.
func (s *Server) putAll(c *call, st *stream) (stored int64, _ *Error) {
	records := c.req.Records
	st.mu.RLock()
	defer st.mu.RUnlock()
	if err := s.writable(st, c.now); err != nil {
		return 0, err
	}
	keys := make([]hashKey, len(records))
	for i := range records {
		h, err := records[i].check(st, "records."+strconv.Itoa(i+1)+".member.")
		if err != nil {
			return 0, err
		}
		keys[i] = h
	}
	if c.req.DryRun {
		return 0, dryRunSucceeded()
	}
	failed := 0
	b := append(c.out.b, `{"Records":[`...)
	for i := range records {
		if i > 0 {
			b = append(b, ',')
		}
		sh := st.route(keys[i])
		err := c.refused[sh.name]
		var seq sequence
		if err == nil {
			seq, err = s.store(st, sh, &records[i], c.now, s.config.Limits)
		}
		if err != nil {
			failed++
			b = append(b, `{"ErrorCode":`...)
			b = appendString(b, err.Code)
			b = append(b, `,"ErrorMessage":`...)
			b = appendString(b, err.Message)
			b = append(b, '}')
			continue
		}
		stored += records[i].cost()
		c.event.Records++
		c.event.Bytes += int64(len(records[i].Data))
		b = append(b, `{"ShardId":"`...)
		b = append(b, sh.name...)
		b = append(b, `","SequenceNumber":"`...)
		b = seq.appendTo(b)
		b = append(b, `"}`...)
	}
	b = append(b, `],"FailedRecordCount":`...)
	b = strconv.AppendInt(b, int64(failed), 10)
	c.out.b = append(b, st.closing()...)
	return stored, nil
}
