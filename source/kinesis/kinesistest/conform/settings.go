package conform

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func settingCases() []Case {
	return []Case{
		{Name: "setting-retention", Wants: "retention goes up and down between 24 and 8760 hours", shards: 1, run: func(p *probe) {
			up := func(h int32) error {
				_, err := p.client.IncreaseStreamRetentionPeriod(p.ctx, &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: &p.stream, RetentionPeriodHours: &h})
				return err
			}
			down := func(h int32) error {
				_, err := p.client.DecreaseStreamRetentionPeriod(p.ctx, &kinesis.DecreaseStreamRetentionPeriodInput{StreamName: &p.stream, RetentionPeriodHours: &h})
				return err
			}
			p.must("increase", up(48))
			p.active()
			p.equal("retention", aws.ToInt32(p.summary().RetentionPeriodHours), 48)
			p.must("decrease", down(24))
			p.active()
			p.equal("retention", aws.ToInt32(p.summary().RetentionPeriodHours), 24)
			p.refused("decrease to 23", down(23), badArgument, invalid)
			p.refused("increase to 8761", up(8761), badArgument, invalid)
			p.refused("decrease to 48", down(48), badArgument)
		}},
		{Name: "setting-tags-of-stream", Wants: "tags are added, replaced, removed, and listed by key", shards: 1, run: func(p *probe) {
			for _, tags := range []map[string]string{{"a": "1", "b": "2"}, {"b": "3", "c": "4"}} {
				_, err := p.client.AddTagsToStream(p.ctx, &kinesis.AddTagsToStreamInput{StreamName: &p.stream, Tags: tags})
				p.must("AddTagsToStream", err)
			}
			_, err := p.client.RemoveTagsFromStream(p.ctx, &kinesis.RemoveTagsFromStreamInput{StreamName: &p.stream, TagKeys: []string{"a"}})
			p.must("RemoveTagsFromStream", err)
			out, err := p.client.ListTagsForStream(p.ctx, &kinesis.ListTagsForStreamInput{StreamName: &p.stream})
			p.must("ListTagsForStream", err)
			p.equal("tags", pairs(out.Tags), []string{"b=3", "c=4"})
		}},
		{Name: "setting-tags-of-resource", Wants: "TagResource works on the ARN of a stream", shards: 1, run: func(p *probe) {
			arn := p.streamARN()
			_, err := p.client.TagResource(p.ctx, &kinesis.TagResourceInput{ResourceARN: arn, Tags: map[string]string{"a": "1", "b": "2"}})
			p.must("TagResource", err)
			_, err = p.client.UntagResource(p.ctx, &kinesis.UntagResourceInput{ResourceARN: arn, TagKeys: []string{"a"}})
			p.must("UntagResource", err)
			out, err := p.client.ListTagsForResource(p.ctx, &kinesis.ListTagsForResourceInput{ResourceARN: arn})
			p.must("ListTagsForResource", err)
			p.equal("tags", pairs(out.Tags), []string{"b=2"})
		}},
		{Name: "setting-policy", Wants: "a resource policy is kept, shown and removed", shards: 1, run: func(p *probe) {
			arn := p.streamARN()
			policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":["kinesis:DescribeStreamSummary","kinesis:ListShards"],"Resource":"` + *arn + `"}]}`
			_, err := p.client.PutResourcePolicy(p.ctx, &kinesis.PutResourcePolicyInput{ResourceARN: arn, Policy: &policy})
			p.must("PutResourcePolicy", err)
			out, err := p.client.GetResourcePolicy(p.ctx, &kinesis.GetResourcePolicyInput{ResourceARN: arn})
			p.must("GetResourcePolicy", err)
			p.equal("policy", aws.ToString(out.Policy), policy)
			_, err = p.client.DeleteResourcePolicy(p.ctx, &kinesis.DeleteResourcePolicyInput{ResourceARN: arn})
			p.must("DeleteResourcePolicy", err)
		}},
		{Name: "setting-mode", Wants: "a stream changes to on-demand, and its shards stay", shards: 2, run: func(p *probe) {
			_, err := p.client.UpdateStreamMode(p.ctx, &kinesis.UpdateStreamModeInput{StreamARN: p.streamARN(), StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}})
			p.must("UpdateStreamMode", err)
			p.active()
			s := p.summary()
			p.equal("mode and shards", []any{s.StreamModeDetails.StreamMode, aws.ToInt32(s.OpenShardCount)}, []any{types.StreamModeOnDemand, 2})
		}},
		{Name: "setting-encryption", Wants: "encryption with a key is shown until it is stopped", shards: 1, run: func(p *probe) {
			_, err := p.client.StartStreamEncryption(p.ctx, &kinesis.StartStreamEncryptionInput{StreamName: &p.stream, EncryptionType: types.EncryptionTypeKms, KeyId: aws.String("alias/aws/kinesis")})
			p.must("StartStreamEncryption", err)
			p.active()
			s := p.summary()
			p.equal("encryption", []string{string(s.EncryptionType), aws.ToString(s.KeyId)}, []string{"KMS", "alias/aws/kinesis"})
			_, err = p.client.StopStreamEncryption(p.ctx, &kinesis.StopStreamEncryptionInput{StreamName: &p.stream, EncryptionType: types.EncryptionTypeKms, KeyId: aws.String("alias/aws/kinesis")})
			p.must("StopStreamEncryption", err)
			p.active()
			p.equal("encryption", p.summary().EncryptionType, types.EncryptionTypeNone)
		}},
		{Name: "setting-monitoring", Wants: "shard-level metrics are turned on and off", shards: 1, run: func(p *probe) {
			metrics := []types.MetricsName{types.MetricsNameIncomingBytes, types.MetricsNameOutgoingBytes}
			on, err := p.client.EnableEnhancedMonitoring(p.ctx, &kinesis.EnableEnhancedMonitoringInput{StreamName: &p.stream, ShardLevelMetrics: metrics})
			p.must("EnableEnhancedMonitoring", err)
			p.equal("metrics", []int{len(on.CurrentShardLevelMetrics), len(on.DesiredShardLevelMetrics)}, []int{0, 2})
			p.active()
			off, err := p.client.DisableEnhancedMonitoring(p.ctx, &kinesis.DisableEnhancedMonitoringInput{StreamName: &p.stream, ShardLevelMetrics: metrics[:1]})
			p.must("DisableEnhancedMonitoring", err)
			p.equal("metrics", off.DesiredShardLevelMetrics, metrics[1:])
		}},
		{Name: "setting-limits", Wants: "DescribeLimits counts the open shards", shards: 3, run: func(p *probe) {
			out, err := p.client.DescribeLimits(p.ctx, &kinesis.DescribeLimitsInput{})
			p.must("DescribeLimits", err)
			if open, limit := aws.ToInt32(out.OpenShardCount), aws.ToInt32(out.ShardLimit); open < 3 || limit < open {
				p.errorf("%d shards of %d", open, limit)
			}
		}},
		{Name: "setting-record-size", Wants: "records of up to 10 MiB are put once the stream allows them", shards: 1, run: func(p *probe) {
			in := &kinesis.PutRecordInput{StreamName: &p.stream, PartitionKey: aws.String("k"), Data: []byte(strings.Repeat("x", 2<<20))}
			_, err := p.client.PutRecord(p.ctx, in)
			p.refused("PutRecord of 2 MiB", err, invalid, badArgument)
			_, err = p.client.UpdateMaxRecordSize(p.ctx, &kinesis.UpdateMaxRecordSizeInput{StreamARN: p.streamARN(), MaxRecordSizeInKiB: aws.Int32(4096)})
			p.must("UpdateMaxRecordSize", err)
			p.active()
			p.equal("size", aws.ToInt32(p.summary().MaxRecordSizeInKiB), 4096)
			_, err = p.client.PutRecord(p.ctx, in)
			p.must("PutRecord of 2 MiB", err)
		}},
	}
}

func pairs(tags []types.Tag) []string {
	all := []string{}
	for _, t := range tags {
		all = append(all, aws.ToString(t.Key)+"="+aws.ToString(t.Value))
	}
	return all
}
