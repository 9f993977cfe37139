package kinesistest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

func (w *world) summary(stream string) *types.StreamDescriptionSummary {
	w.Helper()
	out, err := w.client.DescribeStreamSummary(w.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &stream})
	w.must(err)
	return out.StreamDescriptionSummary
}

func TestEncryptionIsShown(t *testing.T) {
	each(t, kinesistest.Config{StatusDelay: time.Second}, func(w *world) {
		w.createStream("s", 1)
		w.clock.advance(time.Second)
		start := &kinesis.StartStreamEncryptionInput{StreamName: aws.String("s"), EncryptionType: types.EncryptionTypeKms, KeyId: aws.String("alias/lake")}
		_, err := w.client.StartStreamEncryption(w.ctx, start)
		w.must(err)
		w.equal(w.summary("s").StreamStatus, types.StreamStatusUpdating)
		_, err = w.client.StartStreamEncryption(w.ctx, start)
		w.fails(err, "ResourceInUseException")
		w.clock.advance(time.Second)
		s := w.summary("s")
		w.equal([]string{string(s.EncryptionType), *s.KeyId}, []string{"KMS", "alias/lake"})

		one, err := w.client.PutRecord(w.ctx, &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("x")})
		w.must(err)
		many, err := w.client.PutRecords(w.ctx, &kinesis.PutRecordsInput{StreamName: aws.String("s"),
			Records: []types.PutRecordsRequestEntry{{PartitionKey: aws.String("k"), Data: []byte("y")}}})
		w.must(err)
		w.equal([]types.EncryptionType{one.EncryptionType, many.EncryptionType}, []types.EncryptionType{"KMS", "KMS"})

		stop := &kinesis.StopStreamEncryptionInput{StreamARN: arnOf("s"), EncryptionType: types.EncryptionTypeNone, KeyId: aws.String("alias/lake")}
		_, err = w.client.StopStreamEncryption(w.ctx, stop)
		w.fails(err, "ValidationException")
		stop.EncryptionType = types.EncryptionTypeKms
		_, err = w.client.StopStreamEncryption(w.ctx, stop)
		w.must(err)
		w.equal(w.summary("s").EncryptionType, types.EncryptionTypeNone)
		w.equal(w.summary("s").KeyId == nil, true)
	})
}

func TestModesAndWhatComesWithThem(t *testing.T) {
	each(t, kinesistest.Config{Limits: true}, func(w *world) {
		w.createStream("s", 2)
		w.equal(w.summary("s").RecordDistributionStrategy, "")
		mode := func(m types.StreamMode) error {
			_, err := w.client.UpdateStreamMode(w.ctx, &kinesis.UpdateStreamModeInput{StreamARN: arnOf("s"), StreamModeDetails: &types.StreamModeDetails{StreamMode: m}})
			return err
		}
		distribution := func(s types.RecordDistributionStrategy) error {
			_, err := w.client.UpdateStreamRecordDistributionStrategy(w.ctx, &kinesis.UpdateStreamRecordDistributionStrategyInput{StreamARN: arnOf("s"), RecordDistributionStrategy: s})
			return err
		}
		warm := func() error {
			_, err := w.client.UpdateStreamWarmThroughput(w.ctx, &kinesis.UpdateStreamWarmThroughputInput{StreamARN: arnOf("s"), WarmThroughputMiBps: aws.Int32(100)})
			return err
		}
		w.fails(distribution(types.RecordDistributionStrategyAuto), "InvalidArgumentException")
		w.fails(mode("BOTH"), "ValidationException")
		w.must(mode(types.StreamModeOnDemand))
		w.equal(w.summary("s").StreamModeDetails.StreamMode, types.StreamModeOnDemand)
		_, err := w.client.UpdateShardCount(w.ctx, &kinesis.UpdateShardCountInput{StreamName: aws.String("s"), TargetShardCount: aws.Int32(4), ScalingType: types.ScalingTypeUniformScaling})
		w.fails(err, "ValidationException")

		// Records of one key go everywhere.
		w.must(distribution(types.RecordDistributionStrategyAuto))
		w.equal(w.summary("s").RecordDistributionStrategy, types.RecordDistributionStrategyAuto)
		shards := map[string]bool{}
		for range 4 {
			_, shard := w.put("s", "k", "x")
			shards[shard] = true
		}
		w.equal(len(shards), 2)

		w.fails(warm(), "ValidationException")
		settings, err := w.client.UpdateAccountSettings(w.ctx, &kinesis.UpdateAccountSettingsInput{MinimumThroughputBillingCommitment: &types.MinimumThroughputBillingCommitmentInput{Status: "ENABLED"}})
		w.must(err)
		w.equal(settings.MinimumThroughputBillingCommitment.Status, "ENABLED")
		described, err := w.client.DescribeAccountSettings(w.ctx, &kinesis.DescribeAccountSettingsInput{})
		w.must(err)
		w.equal(described.MinimumThroughputBillingCommitment.Status, "ENABLED")
		w.must(warm())
		w.equal(*w.summary("s").WarmThroughput.CurrentMiBps, 100)
		for i := range 50 { // On-demand Advantage
			w.register("s", fmt.Sprint("c", i))
		}
		_, err = w.client.RegisterStreamConsumer(w.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: arnOf("s"), ConsumerName: aws.String("c50")})
		w.fails(err, "LimitExceededException")

		w.must(mode(types.StreamModeProvisioned))
		w.equal(w.summary("s").WarmThroughput == nil, true)
		w.fails(mode(types.StreamModeOnDemand), "LimitExceededException") // twice in 24 hours
		w.clock.advance(24 * time.Hour)
		w.must(mode(types.StreamModeOnDemand))
		w.equal(w.summary("s").RecordDistributionStrategy, types.RecordDistributionStrategyUserPartitionKey)
	})
}

func TestMonitoringIsRemembered(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 1)
		on, err := w.client.EnableEnhancedMonitoring(w.ctx, &kinesis.EnableEnhancedMonitoringInput{StreamName: aws.String("s"),
			ShardLevelMetrics: []types.MetricsName{types.MetricsNameOutgoingBytes, types.MetricsNameIncomingBytes}})
		w.must(err)
		w.equal([]any{on.CurrentShardLevelMetrics, on.DesiredShardLevelMetrics}, []any{[]string{}, []string{"IncomingBytes", "OutgoingBytes"}})
		off, err := w.client.DisableEnhancedMonitoring(w.ctx, &kinesis.DisableEnhancedMonitoringInput{StreamName: aws.String("s"),
			ShardLevelMetrics: []types.MetricsName{types.MetricsNameIncomingBytes}})
		w.must(err)
		w.equal(off.DesiredShardLevelMetrics, []string{"OutgoingBytes"})
		w.equal(w.summary("s").EnhancedMonitoring[0].ShardLevelMetrics, []string{"OutgoingBytes"})
		_, err = w.client.EnableEnhancedMonitoring(w.ctx, &kinesis.EnableEnhancedMonitoringInput{StreamName: aws.String("s"), ShardLevelMetrics: []types.MetricsName{"ALL"}})
		w.must(err)
		w.equal(len(w.summary("s").EnhancedMonitoring[0].ShardLevelMetrics), 7)
		_, err = w.client.EnableEnhancedMonitoring(w.ctx, &kinesis.EnableEnhancedMonitoringInput{StreamName: aws.String("s"), ShardLevelMetrics: []types.MetricsName{"Heat"}})
		w.fails(err, "ValidationException")
	})
}

func TestTagsAndPoliciesOfStreamsAndConsumers(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 1)
		for _, arn := range []string{*arnOf("s"), w.register("s", "lake")} {
			_, err := w.client.TagResource(w.ctx, &kinesis.TagResourceInput{ResourceARN: &arn, Tags: map[string]string{"b": "2", "a": "1"}})
			w.must(err)
			_, err = w.client.TagResource(w.ctx, &kinesis.TagResourceInput{ResourceARN: &arn, Tags: map[string]string{strings.Repeat("k", 129): ""}})
			w.fails(err, "ValidationException")
			_, err = w.client.UntagResource(w.ctx, &kinesis.UntagResourceInput{ResourceARN: &arn, TagKeys: []string{"a", "c"}})
			w.must(err)
			tags, err := w.client.ListTagsForResource(w.ctx, &kinesis.ListTagsForResourceInput{ResourceARN: &arn})
			w.must(err)
			w.equal([]any{len(tags.Tags), *tags.Tags[0].Key, *tags.Tags[0].Value}, []any{1, "b", "2"})

			_, err = w.client.GetResourcePolicy(w.ctx, &kinesis.GetResourcePolicyInput{ResourceARN: &arn})
			w.fails(err, "ResourceNotFoundException")
			const policy = `{"Version":"2012-10-17"}`
			_, err = w.client.PutResourcePolicy(w.ctx, &kinesis.PutResourcePolicyInput{ResourceARN: &arn, Policy: aws.String("{")})
			w.fails(err, "InvalidArgumentException")
			_, err = w.client.PutResourcePolicy(w.ctx, &kinesis.PutResourcePolicyInput{ResourceARN: &arn, Policy: aws.String(policy)})
			w.must(err)
			got, err := w.client.GetResourcePolicy(w.ctx, &kinesis.GetResourcePolicyInput{ResourceARN: &arn})
			w.must(err)
			w.equal(*got.Policy, policy)
			_, err = w.client.DeleteResourcePolicy(w.ctx, &kinesis.DeleteResourcePolicyInput{ResourceARN: &arn})
			w.must(err)
			_, err = w.client.DeleteResourcePolicy(w.ctx, &kinesis.DeleteResourcePolicyInput{ResourceARN: &arn})
			w.fails(err, "ResourceNotFoundException")
		}
		byStream, err := w.client.ListTagsForStream(w.ctx, &kinesis.ListTagsForStreamInput{StreamName: aws.String("s")})
		w.must(err)
		w.equal(len(byStream.Tags), 1)
		for _, arn := range []string{*arnOf("t"), *arnOf("s") + "/consumer/other:1", "arn:aws:s3:::bucket"} {
			_, err := w.client.TagResource(w.ctx, &kinesis.TagResourceInput{ResourceARN: &arn, Tags: map[string]string{"a": "1"}})
			w.fails(err, "ResourceNotFoundException")
		}
	})
}

func TestScalingIsLimited(t *testing.T) {
	w := newWorld(t, kinesistest.Config{Limits: true})
	w.createStream("s", 2)
	scale := func(n int32) error {
		_, err := w.client.UpdateShardCount(w.ctx, &kinesis.UpdateShardCountInput{StreamName: aws.String("s"), TargetShardCount: &n, ScalingType: types.ScalingTypeUniformScaling})
		return err
	}
	for i := range 10 {
		w.must(scale(int32(2 + i%2)))
		w.clock.advance(time.Hour)
	}
	w.fails(scale(4), "LimitExceededException")
	w.clock.advance(14 * time.Hour)
	w.must(scale(4))
	w.fails(scale(5), "LimitExceededException")
}
