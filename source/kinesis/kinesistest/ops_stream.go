package kinesistest

import (
	"regexp"
	"time"
)

// Bounds of the API reference, except shardLimit, which stands for the quota of
// an account.
const (
	defaultMaxRecord  = 1 << 20
	minMaxRecordKiB   = 1024
	maxMaxRecordKiB   = 10240
	maxShardsOfStream = 10_000
	shardLimit        = 20_000
	onDemandShards    = 4
	minRetentionHours = 24
	maxRetentionHours = 8760
	defaultListing    = 100
)

var streamName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

// spec is a stream to be made.
type spec struct {
	name         string
	shards       int
	mode         string
	distribution string
	maxRecord    int
	tags         map[string]string
}

func (s *Server) createStream(c *call) *Error {
	r := &c.req
	p := spec{name: r.StreamName, mode: modeProvisioned, distribution: distributionKey, maxRecord: defaultMaxRecord, tags: r.Tags}
	if r.StreamModeDetails != nil && r.StreamModeDetails.StreamMode != "" {
		p.mode = r.StreamModeDetails.StreamMode
	}
	switch p.mode {
	case modeProvisioned:
		if r.ShardCount == nil {
			return failure(codeValidation, "ShardCount is required for a stream in PROVISIONED mode.")
		}
		p.shards = *r.ShardCount
	case modeOnDemand:
		if r.ShardCount != nil {
			return failure(codeValidation, "ShardCount cannot be given for a stream in ON_DEMAND mode.")
		}
		p.shards = onDemandShards
	default:
		return violation("streamModeDetails.streamMode", "Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]")
	}
	switch r.RecordDistributionStrategy {
	case "", distributionKey:
	case distributionAuto:
		if p.mode != modeOnDemand {
			return failure(codeValidation, "RecordDistributionStrategy AUTO needs a stream in ON_DEMAND mode.")
		}
		p.distribution = distributionAuto
	default:
		return violation("recordDistributionStrategy", "Member must satisfy enum value set: [AUTO, USER_PARTITION_KEY]")
	}
	if r.MaxRecordSizeInKiB != nil {
		if err := checkMaxRecord(*r.MaxRecordSizeInKiB); err != nil {
			return err
		}
		p.maxRecord = *r.MaxRecordSizeInKiB << 10
	}
	if err := s.create(p, c.now); err != nil {
		return err
	}
	return c.answer(object{})
}

func (s *Server) create(p spec, now time.Time) *Error {
	if !streamName.MatchString(p.name) {
		return violation("streamName", "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+ and have length between 1 and 128")
	}
	if p.shards < 1 {
		return violation("shardCount", "Member must have value greater than or equal to 1")
	}
	if open, _ := s.openShards(); p.shards > maxShardsOfStream || open+p.shards > shardLimit {
		return s.overShardLimit(open, p.shards)
	}
	if err := checkTags(p.tags); err != nil {
		return err
	}
	if _, err := s.lookup(p.name, now); err == nil {
		return s.streamExists(p.name)
	}
	st := &stream{
		name: p.name, arn: s.arn(p.name), created: now.UnixMilli(), retention: s.config.Retention,
		maxRecord: p.maxRecord, mode: p.mode, distribution: p.distribution, tags: map[string]string{},
	}
	for k, v := range p.tags {
		st.tags[k] = v
	}
	starts := uniformStarts(p.shards)
	for i, lo := range starts {
		hi := maxHashKey
		if i+1 < len(starts) {
			hi = starts[i+1].prev()
		}
		st.add(now, lo, hi)
	}
	s.settle(st, statusCreating, now)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[p.name] != nil {
		return s.streamExists(p.name)
	}
	s.made++
	st.id = s.made
	s.streams[p.name] = st
	return nil
}

func (s *Server) streamExists(name string) *Error {
	return failure(codeInUse, "Stream %s under account %s already exists.", name, s.config.Account)
}

func (s *Server) overShardLimit(open, more int) *Error {
	return failure(codeLimitExceeded, "This request would exceed the shard limit for the account %s in %s. Current shard count for the account: %d. "+
		"Limit: %d. Number of additional shards that would have resulted from this request: %d.",
		s.config.Account, s.config.Region, open, shardLimit, more)
}

// settle begins a status that lasts for Config.StatusDelay. The stream's lock is
// held for writing, or nobody else knows the stream.
func (s *Server) settle(st *stream, status string, now time.Time) {
	if s.config.StatusDelay == 0 && status != statusDeleting {
		status = "" // whatever the clock says next
	}
	st.pending, st.settles = status, now.Add(s.config.StatusDelay)
}

// openShards counts the open shards of all streams, and the on-demand streams.
func (s *Server) openShards() (open, onDemand int) {
	for _, st := range s.snapshot() {
		st.mu.RLock()
		open += len(st.open)
		if st.mode == modeOnDemand {
			onDemand++
		}
		st.mu.RUnlock()
	}
	return open, onDemand
}

func (s *Server) deleteStream(c *call) *Error {
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	st.mu.RLock()
	consumers := len(st.registered(c.now))
	st.mu.RUnlock()
	if consumers > 0 && !c.req.EnforceConsumerDeletion {
		return failure(codeInUse, "Stream %s under account %s has %d registered consumers: set EnforceConsumerDeletion, or deregister them.",
			st.name, s.config.Account, consumers)
	}
	s.delete(st, c.now)
	return c.answer(object{})
}

func (s *Server) delete(st *stream, now time.Time) {
	st.mu.Lock()
	if st.pending != statusDeleting {
		s.settle(st, statusDeleting, now)
	}
	for _, k := range st.consumers {
		k.subscriptions.close(k.notFound())
	}
	st.mu.Unlock()
	s.sweep(st, now)
}

func (s *Server) listStreams(c *call) *Error {
	limit, err := atMost(c.req.Limit, defaultListing, 10_000, "limit")
	if err != nil {
		return err
	}
	after := c.req.ExclusiveStartStreamName
	if c.req.NextToken != "" {
		after = c.req.NextToken // ListStreams gives the last name as the token
	}
	names, summaries, more := []string{}, []object{}, false
	for _, st := range s.snapshot() {
		if st.name <= after || s.sweep(st, c.now) {
			continue
		}
		if more = len(names) == limit; more {
			break
		}
		names = append(names, st.name)
		st.mu.RLock()
		summaries = append(summaries, s.describe(st, c.now))
		st.mu.RUnlock()
	}
	o := object{"StreamNames": names, "StreamSummaries": summaries, "HasMoreStreams": more}
	if more {
		o["NextToken"] = names[len(names)-1]
	}
	return c.answer(o)
}

// describe gives what all descriptions of a stream have in common. The stream's
// lock is held.
func (s *Server) describe(st *stream, now time.Time) object {
	return object{
		"StreamName": st.name, "StreamARN": st.arn, "StreamStatus": st.status(now),
		"StreamCreationTimestamp": timestamp(st.created),
		"StreamModeDetails":       object{"StreamMode": st.mode},
	}
}

// describeMore adds what DescribeStream and DescribeStreamSummary have in common.
func (s *Server) describeMore(st *stream, now time.Time) object {
	o := s.describe(st, now)
	o["RetentionPeriodHours"] = hours(st.retention)
	o["EncryptionType"] = st.encryption()
	if st.key != "" {
		o["KeyId"] = st.key
	}
	o["EnhancedMonitoring"] = []object{{"ShardLevelMetrics": nonNil(st.metrics)}}
	return o
}

// hours is a retention as requests see it.
func hours(retention time.Duration) int { return int((retention + time.Hour - 1) / time.Hour) }

func (s *Server) describeStream(c *call) *Error {
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	limit, err := atMost(c.req.Limit, defaultListing, 10_000, "limit")
	if err != nil {
		return err
	}
	st.mu.RLock()
	defer st.mu.RUnlock()
	o := s.describeMore(st, c.now)
	shards, more := []object{}, false
	if st.status(c.now) != statusCreating {
		for _, sh := range st.shards {
			if sh.name <= c.req.ExclusiveStartShardId || sh.expired(c.now, st.retention) {
				continue
			}
			if more = len(shards) == limit; more {
				break
			}
			shards = append(shards, shardObject(sh))
		}
	}
	o["Shards"], o["HasMoreShards"] = shards, more
	return c.answer(object{"StreamDescription": o})
}

func (s *Server) describeStreamSummary(c *call) *Error {
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	st.mu.RLock()
	defer st.mu.RUnlock()
	o := s.describeMore(st, c.now)
	o["OpenShardCount"] = len(st.open)
	if st.status(c.now) == statusCreating {
		o["OpenShardCount"] = 0
	}
	o["ConsumerCount"] = len(st.registered(c.now))
	o["MaxRecordSizeInKiB"] = st.maxRecord >> 10
	if st.mode == modeOnDemand {
		o["RecordDistributionStrategy"] = st.distribution
		if st.warm > 0 {
			o["WarmThroughput"] = warmObject(st.warm)
		}
	}
	return c.answer(object{"StreamDescriptionSummary": o})
}

func (s *Server) describeLimits(c *call) *Error {
	open, onDemand := s.openShards()
	return c.answer(object{"ShardLimit": shardLimit, "OpenShardCount": open, "OnDemandStreamCount": onDemand, "OnDemandStreamCountLimit": 50})
}

// atMost reads a bounded number of an optional member.
func atMost(v *int, absent, highest int, member string) (int, *Error) {
	if v == nil {
		return absent, nil
	}
	if *v < 1 || *v > highest {
		return 0, violation(member, "Member must have value between 1 and %d, and is %d", highest, *v)
	}
	return *v, nil
}

func checkMaxRecord(kib int) *Error {
	if kib < minMaxRecordKiB || kib > maxMaxRecordKiB {
		return violation("maxRecordSizeInKiB", "Member must have value between %d and %d, and is %d", minMaxRecordKiB, maxMaxRecordKiB, kib)
	}
	return nil
}

// change runs f on an ACTIVE stream, under its lock for writing, after which the
// stream is UPDATING.
func (s *Server) change(st *stream, now time.Time, f func() *Error) *Error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gone(now) {
		return failure(codeNotFound, "Stream %s under account %s not found.", st.name, s.config.Account)
	}
	if status := st.status(now); status != statusActive {
		return s.notActive(st, status)
	}
	if err := f(); err != nil {
		return err
	}
	s.settle(st, statusUpdating, now)
	s.release(st.prune(now))
	return nil
}

func (s *Server) increaseRetention(c *call) *Error { return s.changeRetention(c, true) }
func (s *Server) decreaseRetention(c *call) *Error { return s.changeRetention(c, false) }

func (s *Server) changeRetention(c *call, longer bool) *Error {
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	if c.req.RetentionPeriodHours == nil {
		return violation("retentionPeriodHours", "Member must not be null")
	}
	hours := *c.req.RetentionPeriodHours
	if hours < minRetentionHours || hours > maxRetentionHours {
		return invalidArgument("Requested retention period (%d hours) for stream %s must be between %d and %d hours.",
			hours, st.name, minRetentionHours, maxRetentionHours)
	}
	err = s.change(st, c.now, func() *Error {
		wanted := time.Duration(hours) * time.Hour
		if longer && wanted < st.retention {
			return invalidArgument("Requested retention period (%d hours) for stream %s can not be shorter than existing retention period (%v).",
				hours, st.name, st.retention)
		}
		if !longer && wanted > st.retention {
			return invalidArgument("Requested retention period (%d hours) for stream %s can not be longer than existing retention period (%v).",
				hours, st.name, st.retention)
		}
		// What had expired stays so under a longer retention.
		for _, sh := range st.shards {
			s.trim(st, sh, c.now)
		}
		s.release(st.prune(c.now))
		st.retention = wanted
		return nil
	})
	if err != nil {
		return err
	}
	return c.answer(object{})
}

func (s *Server) updateMaxRecordSize(c *call) *Error {
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	if c.req.MaxRecordSizeInKiB == nil {
		return violation("maxRecordSizeInKiB", "Member must not be null")
	}
	if err := checkMaxRecord(*c.req.MaxRecordSizeInKiB); err != nil {
		return err
	}
	err = s.change(st, c.now, func() *Error {
		st.maxRecord = *c.req.MaxRecordSizeInKiB << 10
		return nil
	})
	if err != nil {
		return err
	}
	return c.answer(object{})
}
