package kinesistest

import (
	"bytes"
	"time"
)

// Record is a record as a consumer gets it.
type Record struct {
	// SequenceNumber is the decimal number that orders the shard's records.
	SequenceNumber string
	PartitionKey   string
	// Data shares memory with the server and must not be modified.
	Data []byte
	// Arrived is the ApproximateArrivalTimestamp, in whole milliseconds.
	Arrived time.Time
}

// Shard is a shard of a stream.
type Shard struct {
	// ID is "shardId-" and twelve digits.
	ID string
	// Parents are the ids of the shards it was made from: none, one after a split,
	// two after a merge.
	Parents []string
	// StartingHashKey and EndingHashKey are the inclusive range, decimal.
	StartingHashKey, EndingHashKey string
	// Open tells whether records can still be put.
	Open bool
}

// result makes a nil *Error a nil error.
func result(err *Error) error {
	if err == nil {
		return nil
	}
	return err
}

// CreateStream makes a provisioned stream with a number of shards of equal ranges.
// It fails with ResourceInUseException if there is one of that name.
func (s *Server) CreateStream(stream string, shards int) error {
	return result(s.create(spec{name: stream, shards: shards, mode: modeProvisioned, distribution: distributionKey, maxRecord: defaultMaxRecord}, s.config.Now()))
}

// DeleteStream deletes a stream and its records.
func (s *Server) DeleteStream(stream string) error {
	now := s.config.Now()
	st, err := s.lookup(stream, now)
	if err != nil {
		return err
	}
	s.delete(st, now)
	return nil
}

// Put stores a copy of data as a record, and returns its sequence number and the
// id of its shard.
func (s *Server) Put(stream, partitionKey string, data []byte) (seq, shard string, err error) {
	return s.putDirect(stream, entry{PartitionKey: partitionKey, Data: data})
}

// PutHash is Put with an explicit hash key, a decimal integer below 2^128, which
// decides the shard in place of the partition key. The StartingHashKey of a Shard
// puts to that shard.
func (s *Server) PutHash(stream, partitionKey, explicitHashKey string, data []byte) (seq, shard string, err error) {
	return s.putDirect(stream, entry{PartitionKey: partitionKey, ExplicitHashKey: explicitHashKey, Data: data})
}

func (s *Server) putDirect(stream string, e entry) (seq, shard string, _ error) {
	now := s.config.Now()
	st, err := s.lookup(stream, now)
	if err != nil {
		return "", "", err
	}
	e.Data = bytes.Clone(e.Data)
	sh, q, err := s.put(st, &e, now, false, false)
	if err != nil {
		return "", "", err
	}
	return q.String(), sh.name, nil
}

// Split divides an open shard in the middle of its range and returns the ids of
// its children, the lower range first. Unlike SplitShard, it works in on-demand
// streams too, which AWS reshards by itself.
func (s *Server) Split(stream, shard string) (lower, upper string, _ error) {
	now := s.config.Now()
	st, err := s.lookup(stream, now)
	if err != nil {
		return "", "", err
	}
	err = s.change(st, now, func() *Error {
		sh, err := s.openShard(st, shard, now)
		if err != nil {
			return err
		}
		if sh.lo == sh.hi {
			return invalidArgument("Shard %s has one hash key and cannot be split.", shard)
		}
		if err := s.split(st, sh, middle(sh.lo, sh.hi), now); err != nil {
			return err
		}
		lower, upper = sh.children[0].name, sh.children[1].name
		return nil
	})
	return lower, upper, result(err)
}

// Merge joins two open shards with adjacent ranges, in any order, and returns the
// id of their child. Like Split, it works in on-demand streams too.
func (s *Server) Merge(stream, shard, adjacentShard string) (child string, _ error) {
	now := s.config.Now()
	st, err := s.lookup(stream, now)
	if err != nil {
		return "", err
	}
	err = s.change(st, now, func() *Error {
		if err := s.merge(st, shard, adjacentShard, now); err != nil {
			return err
		}
		child = st.shards[len(st.shards)-1].name
		return nil
	})
	return child, result(err)
}

// Records lists the records of a shard that retention has left, oldest first.
func (s *Server) Records(stream, shard string) ([]Record, error) {
	now := s.config.Now()
	st, err := s.lookup(stream, now)
	if err != nil {
		return nil, err
	}
	st.mu.RLock()
	defer st.mu.RUnlock()
	sh := st.shardNamed(shard, now)
	if sh == nil {
		return nil, s.shardNotFound(st, shard)
	}
	s.trim(st, sh, now)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	l := &sh.log
	records := make([]Record, 0, l.next-l.first)
	for i := l.first; i < l.next; i++ {
		r := l.at(i)
		records = append(records, Record{
			SequenceNumber: sh.sequence(i, r.at).String(), PartitionKey: r.key, Data: r.data, Arrived: time.UnixMilli(r.at),
		})
	}
	return records, nil
}

// Shards lists the shards of a stream, open and closed, in the order they were
// made. Shards that closed longer ago than the retention are gone.
func (s *Server) Shards(stream string) ([]Shard, error) {
	now := s.config.Now()
	st, err := s.lookup(stream, now)
	if err != nil {
		return nil, err
	}
	st.mu.RLock()
	defer st.mu.RUnlock()
	var shards []Shard
	for _, sh := range st.shards {
		if sh.expired(now, st.retention) {
			continue
		}
		shards = append(shards, Shard{
			ID: sh.name, Parents: sh.parentNames(), Open: !sh.isClosed,
			StartingHashKey: sh.lo.String(), EndingHashKey: sh.hi.String(),
		})
	}
	return shards, nil
}

// Streams lists the names of all streams, sorted.
func (s *Server) Streams() []string {
	now := s.config.Now()
	names := []string{}
	for _, st := range s.snapshot() {
		if !s.sweep(st, now) {
			names = append(names, st.name)
		}
	}
	return names
}
