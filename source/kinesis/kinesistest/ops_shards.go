package kinesistest

import "time"

// maxListShards is how many shards a page of ListShards has at most (API
// reference of ListShards).
const maxListShards = 1000

// maxScalings is how often UpdateShardCount may be called for a stream in
// scalingPeriod (API reference of UpdateShardCount).
const (
	maxScalings   = 10
	scalingPeriod = 24 * time.Hour
)

// filterTypes are the types of ShardFilter; a page token holds the index.
func filterTypes() []string {
	return []string{"FROM_TRIM_HORIZON", "AT_TRIM_HORIZON", "AT_LATEST", "AFTER_SHARD_ID", "AT_TIMESTAMP", "FROM_TIMESTAMP"}
}

// filter selects shards for ListShards.
type filter struct {
	kind byte // index of filterTypes
	at   int64
}

// matches tells whether the filter selects a shard that has not expired. The
// stream's lock is held.
func (f filter) matches(st *stream, sh *shard, now time.Time) bool {
	switch filterTypes()[f.kind] {
	case "AT_TRIM_HORIZON":
		return atHorizon(st, sh, now)
	case "AT_LATEST":
		return !sh.isClosed
	case "AT_TIMESTAMP":
		if f.at < now.Add(-st.retention).UnixMilli() || f.at < st.created {
			return atHorizon(st, sh, now)
		}
		return sh.created <= f.at && (!sh.isClosed || sh.closed >= f.at)
	case "FROM_TIMESTAMP":
		return !sh.isClosed || sh.closed >= f.at
	}
	return true
}

// atHorizon tells whether the shard was open at the trim horizon. Its parents
// closed when it was made, so that is so if and only if they have expired. Asked
// like this, it holds also if several generations were made in one millisecond.
func atHorizon(st *stream, sh *shard, now time.Time) bool {
	for _, p := range sh.parents {
		if !p.expired(now, st.retention) {
			return false
		}
	}
	return true
}

func (s *Server) listShards(c *call) *Error {
	limit, err := atMost(c.req.MaxResults, maxListShards, maxShardsOfStream, "maxResults")
	if err != nil {
		return err
	}
	limit = min(limit, maxListShards)
	st, f, after, err := s.listing(c)
	if err != nil {
		return err
	}
	st.mu.RLock()
	defer st.mu.RUnlock()
	if status := st.status(c.now); status != statusActive && status != statusUpdating {
		return s.notActive(st, status)
	}
	shards, last, more := []object{}, uint32(0), false
	for _, sh := range st.shards {
		if sh.name <= after || sh.expired(c.now, st.retention) || !f.matches(st, sh, c.now) {
			continue
		}
		if more = len(shards) == limit; more {
			break
		}
		shards = append(shards, shardObject(sh))
		last = sh.id
	}
	o := object{"Shards": shards}
	if more {
		o["NextToken"] = nextToken{mark: shardsMark, stream: st.id, after: last, filter: f.kind, at: f.at, created: c.now.UnixMilli()}.String()
	}
	return c.answer(o)
}

// listing reads which shards are asked for: those of a stream that a filter
// selects, after a shard. A page token says all of that.
func (s *Server) listing(c *call) (_ *stream, f filter, after string, _ *Error) {
	r := &c.req
	if r.NextToken == "" {
		return s.firstPage(c)
	}
	if r.StreamName != "" {
		return nil, f, "", invalidArgument("NextToken and StreamName cannot be provided together.")
	}
	if r.ExclusiveStartShardId != "" || r.StreamCreationTimestamp != nil || r.ShardFilter != nil {
		return nil, f, "", invalidArgument("NextToken cannot be provided together with ExclusiveStartShardId, StreamCreationTimestamp or ShardFilter.")
	}
	t, ok := parseNextToken(r.NextToken, shardsMark)
	if !ok || int(t.filter) >= len(filterTypes()) {
		return nil, f, "", invalidArgument("Invalid NextToken.")
	}
	if err := t.expired(c.now); err != nil {
		return nil, f, "", err
	}
	st := s.streamByID(t.stream)
	if st == nil || s.sweep(st, c.now) {
		return nil, f, "", failure(codeNotFound, "The stream of the NextToken has been deleted.")
	}
	if r.StreamARN != "" && r.StreamARN != st.arn {
		return nil, f, "", invalidArgument("StreamARN %s is not that of the NextToken, which is %s.", r.StreamARN, st.arn)
	}
	return st, filter{kind: t.filter, at: t.at}, shardName(t.after), nil
}

func (s *Server) firstPage(c *call) (_ *stream, f filter, after string, _ *Error) {
	r := &c.req
	st, err := s.stream(c)
	if err != nil {
		return nil, f, "", err
	}
	if err := s.sameCreation(c, st); err != nil {
		return nil, f, "", err
	}
	after = r.ExclusiveStartShardId
	if r.ShardFilter == nil {
		return st, f, after, nil
	}
	known := false
	for i, typ := range filterTypes() {
		if typ == r.ShardFilter.Type {
			f.kind, known = byte(i), true
		}
	}
	switch typ := r.ShardFilter.Type; {
	case !known:
		return nil, f, "", violation("shardFilter.type", "Member must satisfy enum value set: %v", filterTypes())
	case typ == "AFTER_SHARD_ID":
		if r.ShardFilter.ShardId == "" {
			return nil, f, "", invalidArgument("ShardId must be provided with the shard filter type %s.", typ)
		}
		after = max(after, r.ShardFilter.ShardId)
	case typ == "AT_TIMESTAMP" || typ == "FROM_TIMESTAMP":
		if r.ShardFilter.Timestamp == nil {
			return nil, f, "", invalidArgument("Timestamp must be provided with the shard filter type %s.", typ)
		}
		f.at = millis(*r.ShardFilter.Timestamp)
	}
	return st, f, after, nil
}

// sameCreation refuses a request about a stream that was made at another time and
// had the same name.
func (s *Server) sameCreation(c *call, st *stream) *Error {
	if at := c.req.StreamCreationTimestamp; at != nil && millis(*at) != st.created {
		return failure(codeNotFound, "Stream %s under account %s with creation timestamp %s not found.", st.name, s.config.Account, timestamp(millis(*at)))
	}
	return nil
}

// openShard finds a shard that can be split or merged. The stream's lock is held.
func (s *Server) openShard(st *stream, name string, now time.Time) (*shard, *Error) {
	sh := st.shardNamed(name, now)
	if sh == nil {
		return nil, failure(codeNotFound, "Could not find shard %s in stream %s under account %s.", name, st.name, s.config.Account)
	}
	if sh.isClosed {
		return nil, invalidArgument("Shard %s in stream %s under account %s has already been merged or split, and thus is not eligible for merging or splitting.",
			name, st.name, s.config.Account)
	}
	return sh, nil
}

// reshard is change for requests that only provisioned streams may make.
func (s *Server) reshard(c *call, f func(*stream) *Error) *Error {
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	return s.change(st, c.now, func() *Error {
		if st.mode != modeProvisioned {
			return failure(codeValidation, "%s is only supported for streams in PROVISIONED mode.", c.op)
		}
		return f(st)
	})
}

func (s *Server) splitShard(c *call) *Error {
	err := s.reshard(c, func(st *stream) *Error {
		sh, err := s.openShard(st, c.req.ShardToSplit, c.now)
		if err != nil {
			return err
		}
		at, ok := parseHashKey(c.req.NewStartingHashKey)
		if !ok || !sh.lo.less(at) || sh.hi.less(at) {
			return invalidArgument("NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account %s is not both greater than "+
				"the shard's StartingHashKey %v and at most the shard's EndingHashKey %v.",
				c.req.NewStartingHashKey, sh.name, st.name, s.config.Account, sh.lo, sh.hi)
		}
		return s.split(st, sh, at, c.now)
	})
	if err != nil {
		return err
	}
	return c.answer(object{})
}

func (s *Server) split(st *stream, sh *shard, at hashKey, now time.Time) *Error {
	if len(st.open) >= maxShardsOfStream {
		return s.overShardLimit(len(st.open), 1)
	}
	st.split(now, sh, at)
	return nil
}

func (s *Server) mergeShards(c *call) *Error {
	err := s.reshard(c, func(st *stream) *Error {
		return s.merge(st, c.req.ShardToMerge, c.req.AdjacentShardToMerge, c.now)
	})
	if err != nil {
		return err
	}
	return c.answer(object{})
}

func (s *Server) merge(st *stream, nameA, nameB string, now time.Time) *Error {
	a, err := s.openShard(st, nameA, now)
	if err != nil {
		return err
	}
	b, err := s.openShard(st, nameB, now)
	if err != nil {
		return err
	}
	if !adjacent(a, b) {
		return invalidArgument("Shards %s and %s in stream %s under account %s are not an adjacent pair of shards eligible for merging",
			nameA, nameB, st.name, s.config.Account)
	}
	st.merge(now, a, b)
	return nil
}

func (s *Server) updateShardCount(c *call) *Error {
	if c.req.TargetShardCount == nil || *c.req.TargetShardCount < 1 {
		return violation("targetShardCount", "Member must have value greater than or equal to 1")
	}
	if c.req.ScalingType != "UNIFORM_SCALING" {
		return violation("scalingType", "Member must satisfy enum value set: [UNIFORM_SCALING]")
	}
	target := *c.req.TargetShardCount
	var o object
	err := s.reshard(c, func(st *stream) *Error {
		current := len(st.open)
		if target > 2*current || 2*target < current {
			return invalidArgument("UpdateShardCount cannot scale beyond double or below half of the current open shard count of %d: %d.", current, target)
		}
		if target > maxShardsOfStream {
			return s.overShardLimit(current, target-current)
		}
		if s.config.Limits && len(st.scaled) == maxScalings && c.now.Sub(st.scaled[0]) < scalingPeriod {
			return failure(codeLimitExceeded, "UpdateShardCount has been called %d times in 24 hours for stream %s, which is the limit.", maxScalings, st.name)
		}
		st.scaled = append(st.scaled[max(0, len(st.scaled)+1-maxScalings):], c.now)
		st.scale(c.now, target)
		o = object{"StreamName": st.name, "StreamARN": st.arn, "CurrentShardCount": current, "TargetShardCount": target}
		return nil
	})
	if err != nil {
		return err
	}
	return c.answer(o)
}
