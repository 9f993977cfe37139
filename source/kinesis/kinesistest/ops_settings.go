package kinesistest

import (
	"slices"
	"time"
)

const (
	encryptionNone = "NONE"
	encryptionKMS  = "KMS"

	commitmentEnabled  = "ENABLED"
	commitmentDisabled = "DISABLED"

	// maxModeChanges is how often a stream may change its mode in modeChangePeriod
	// (API reference of UpdateStreamMode).
	maxModeChanges   = 2
	modeChangePeriod = 24 * time.Hour

	maxKeyID          = 2048 // characters
	maxWarmThroughput = 10 << 10
)

// shardMetrics are the shard-level metrics of the API reference of
// EnableEnhancedMonitoring, without ALL.
func shardMetrics() []string {
	return []string{
		"IncomingBytes", "IncomingRecords", "IteratorAgeMilliseconds", "OutgoingBytes", "OutgoingRecords",
		"ReadProvisionedThroughputExceeded", "WriteProvisionedThroughputExceeded",
	}
}

// changed is an operation that changes an ACTIVE stream, which is UPDATING after it,
// and answers with nothing.
func (s *Server) changed(c *call, f func(*stream) *Error) *Error {
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	if err := s.change(st, c.now, func() *Error { return f(st) }); err != nil {
		return err
	}
	return c.answer(object{})
}

func (s *Server) updateStreamMode(c *call) *Error {
	if c.req.StreamARN == "" {
		return violation("streamARN", "Member must not be null")
	}
	if c.req.StreamModeDetails == nil {
		return violation("streamModeDetails", "Member must not be null")
	}
	mode := c.req.StreamModeDetails.StreamMode
	if mode != modeProvisioned && mode != modeOnDemand {
		return violation("streamModeDetails.streamMode", "Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]")
	}
	return s.changed(c, func(st *stream) *Error {
		if st.mode == mode {
			return nil
		}
		if s.config.Limits && len(st.moded) == maxModeChanges && c.now.Sub(st.moded[0]) < modeChangePeriod {
			return failure(codeLimitExceeded, "The mode of stream %s has been changed %d times in 24 hours, which is the limit.", st.name, maxModeChanges)
		}
		st.moded = append(st.moded[max(0, len(st.moded)+1-maxModeChanges):], c.now)
		// A provisioned stream places records by their keys and has no warm throughput.
		st.mode, st.distribution, st.warm = mode, distributionKey, 0
		return nil
	})
}

func (s *Server) updateDistribution(c *call) *Error {
	if c.req.StreamARN == "" {
		return violation("streamARN", "Member must not be null")
	}
	strategy := c.req.RecordDistributionStrategy
	if strategy != distributionAuto && strategy != distributionKey {
		return violation("recordDistributionStrategy", "Member must satisfy enum value set: [AUTO, USER_PARTITION_KEY]")
	}
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := s.writable(st, c.now); err != nil {
		return err
	}
	if st.mode != modeOnDemand {
		return invalidArgument("Stream %s is in %s mode, and RecordDistributionStrategy needs ON_DEMAND.", st.name, st.mode)
	}
	st.distribution = strategy
	return c.answer(object{})
}

func (s *Server) updateWarmThroughput(c *call) *Error {
	if c.req.WarmThroughputMiBps == nil {
		return violation("warmThroughputMiBps", "Member must not be null")
	}
	warm := *c.req.WarmThroughputMiBps
	if warm < 0 || warm > maxWarmThroughput {
		return violation("warmThroughputMiBps", "Member must have value between 0 and %d, and is %d", maxWarmThroughput, warm)
	}
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	err = s.change(st, c.now, func() *Error {
		switch {
		case st.mode != modeOnDemand:
			return failure(codeValidation, "Stream %s is in %s mode, and warm throughput needs ON_DEMAND.", st.name, st.mode)
		case !s.committed.Load():
			return failure(codeValidation, "Warm throughput needs an account with MinimumThroughputBillingCommitment ENABLED.")
		}
		st.warm = warm
		return nil
	})
	if err != nil {
		return err
	}
	return c.answer(object{"StreamName": st.name, "StreamARN": st.arn, "WarmThroughput": warmObject(warm)})
}

func warmObject(mibps int) object { return object{"CurrentMiBps": mibps, "TargetMiBps": mibps} }

func (s *Server) startEncryption(c *call) *Error { return s.encrypt(c, true) }
func (s *Server) stopEncryption(c *call) *Error  { return s.encrypt(c, false) }

func (s *Server) encrypt(c *call, start bool) *Error {
	if c.req.EncryptionType != encryptionKMS {
		return violation("encryptionType", "Member must satisfy enum value set: [KMS]")
	}
	if n := len(c.req.KeyId); n < 1 || n > maxKeyID {
		return violation("keyId", "Member must have length between 1 and %d, and has %d", maxKeyID, n)
	}
	return s.changed(c, func(st *stream) *Error {
		st.key = ""
		if start {
			st.key = c.req.KeyId
		}
		return nil
	})
}

// encryption is the type that the stream encrypts with now; its lock is held.
func (st *stream) encryption() string {
	if st.key == "" {
		return encryptionNone
	}
	return encryptionKMS
}

func (s *Server) enableMonitoring(c *call) *Error  { return s.monitor(c, true) }
func (s *Server) disableMonitoring(c *call) *Error { return s.monitor(c, false) }

func (s *Server) monitor(c *call, enable bool) *Error {
	known := shardMetrics()
	asked := c.req.ShardLevelMetrics
	if len(asked) < 1 || len(asked) > len(known) {
		return violation("shardLevelMetrics", "Member must have length between 1 and %d, and has %d", len(known), len(asked))
	}
	for _, m := range asked {
		if m == "ALL" {
			asked = known
			break
		}
		if !slices.Contains(known, m) {
			return violation("shardLevelMetrics", "Member must satisfy enum value set: %v", append(known, "ALL"))
		}
	}
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	var before, after []string
	err = s.change(st, c.now, func() *Error {
		before = st.metrics
		after = []string{}
		for _, m := range known {
			if slices.Contains(asked, m) && enable || slices.Contains(before, m) && !slices.Contains(asked, m) {
				after = append(after, m)
			}
		}
		st.metrics = after
		return nil
	})
	if err != nil {
		return err
	}
	return c.answer(object{"StreamName": st.name, "StreamARN": st.arn, "CurrentShardLevelMetrics": nonNil(before), "DesiredShardLevelMetrics": after})
}

// nonNil makes a list that JSON shows as [] and not as null.
func nonNil(all []string) []string {
	if all == nil {
		return []string{}
	}
	return all
}

func (s *Server) describeAccountSettings(c *call) *Error {
	status := commitmentDisabled
	if s.committed.Load() {
		status = commitmentEnabled
	}
	return c.answer(object{"MinimumThroughputBillingCommitment": object{"Status": status}})
}

func (s *Server) updateAccountSettings(c *call) *Error {
	if c.req.MinimumThroughputBillingCommitment == nil {
		return violation("minimumThroughputBillingCommitment", "Member must not be null")
	}
	switch c.req.MinimumThroughputBillingCommitment.Status {
	case commitmentEnabled:
		s.committed.Store(true)
	case commitmentDisabled:
		s.committed.Store(false)
	default:
		return violation("minimumThroughputBillingCommitment.status", "Member must satisfy enum value set: [ENABLED, DISABLED]")
	}
	return s.describeAccountSettings(c)
}
