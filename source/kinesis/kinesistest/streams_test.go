package kinesistest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

func TestStreamsAreMadeDescribedAndDeleted(t *testing.T) {
	each(t, kinesistest.Config{StatusDelay: 10 * time.Second}, func(w *world) {
		create := &kinesis.CreateStreamInput{StreamName: aws.String("orders"), ShardCount: aws.Int32(3), Tags: map[string]string{"team": "a"}}
		_, err := w.client.CreateStream(w.ctx, create)
		w.must(err)
		_, err = w.client.CreateStream(w.ctx, create)
		w.fails(err, "ResourceInUseException")
		_, err = w.client.CreateStream(w.ctx, &kinesis.CreateStreamInput{StreamName: aws.String("no shards")})
		w.fails(err, "ValidationException")
		_, err = w.client.CreateStream(w.ctx, &kinesis.CreateStreamInput{StreamName: aws.String("huge"), ShardCount: aws.Int32(10_001)})
		w.fails(err, "LimitExceededException")

		in := &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("orders")}
		d, err := w.client.DescribeStreamSummary(w.ctx, in)
		w.must(err)
		w.equal(d.StreamDescriptionSummary.StreamStatus, types.StreamStatusCreating)
		_, err = w.client.ListShards(w.ctx, &kinesis.ListShardsInput{StreamName: aws.String("orders")})
		w.fails(err, "ResourceInUseException")
		_, err = w.client.PutRecord(w.ctx, &kinesis.PutRecordInput{StreamName: aws.String("orders"), PartitionKey: aws.String("k"), Data: []byte("x")})
		w.fails(err, "ResourceNotFoundException")

		w.clock.advance(10 * time.Second)
		d, err = w.client.DescribeStreamSummary(w.ctx, in)
		w.must(err)
		s := d.StreamDescriptionSummary
		w.equal(s.StreamStatus, types.StreamStatusActive)
		w.equal(*s.StreamARN, "arn:aws:kinesis:us-east-1:000000000000:stream/orders")
		w.equal([]int32{*s.OpenShardCount, *s.RetentionPeriodHours, *s.MaxRecordSizeInKiB, *s.ConsumerCount}, []int32{3, 24, 1024, 0})
		w.equal(s.StreamCreationTimestamp.UTC(), w.clock.Now().Add(-10*time.Second))
		w.equal(s.StreamModeDetails.StreamMode, types.StreamModeProvisioned)

		// By ARN, in pages.
		p := kinesis.NewDescribeStreamPaginator(w.client, &kinesis.DescribeStreamInput{StreamARN: s.StreamARN, Limit: aws.Int32(2)})
		var pages [][]string
		for p.HasMorePages() {
			page, err := p.NextPage(w.ctx)
			w.must(err)
			pages = append(pages, ids(page.StreamDescription.Shards))
		}
		w.equal(pages, [][]string{{shardID(0), shardID(1)}, {shardID(2)}})

		_, err = w.client.DeleteStream(w.ctx, &kinesis.DeleteStreamInput{StreamName: aws.String("orders")})
		w.must(err)
		d, err = w.client.DescribeStreamSummary(w.ctx, in)
		w.must(err)
		w.equal(d.StreamDescriptionSummary.StreamStatus, types.StreamStatusDeleting)
		w.clock.advance(10 * time.Second)
		_, err = w.client.DescribeStreamSummary(w.ctx, in)
		w.fails(err, "ResourceNotFoundException")
		w.equal(w.srv.Streams(), []string{})
	})
}

func TestListStreamsAndLimits(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		for _, name := range []string{"c", "a", "b"} {
			w.createStream(name, 2)
		}
		_, err := w.client.CreateStream(w.ctx, &kinesis.CreateStreamInput{StreamName: aws.String("d"),
			StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}})
		w.must(err)
		var names []string
		p := kinesis.NewListStreamsPaginator(w.client, &kinesis.ListStreamsInput{Limit: aws.Int32(3)})
		for p.HasMorePages() {
			page, err := p.NextPage(w.ctx)
			w.must(err)
			names = append(names, strings.Join(page.StreamNames, ""))
			w.equal(len(page.StreamSummaries), len(page.StreamNames))
		}
		w.equal(names, []string{"abc", "d"})
		l, err := w.client.DescribeLimits(w.ctx, &kinesis.DescribeLimitsInput{})
		w.must(err)
		w.equal([]int32{*l.OpenShardCount, *l.OnDemandStreamCount}, []int32{10, 1})
	})
}

func TestTags(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 1)
		name := aws.String("s")
		_, err := w.client.AddTagsToStream(w.ctx, &kinesis.AddTagsToStreamInput{StreamName: name, Tags: map[string]string{"b": "2", "a": "1", "c": "3"}})
		w.must(err)
		_, err = w.client.RemoveTagsFromStream(w.ctx, &kinesis.RemoveTagsFromStreamInput{StreamName: name, TagKeys: []string{"b"}})
		w.must(err)
		out, err := w.client.ListTagsForStream(w.ctx, &kinesis.ListTagsForStreamInput{StreamName: name, Limit: aws.Int32(1)})
		w.must(err)
		w.equal([]any{*out.Tags[0].Key, *out.Tags[0].Value, *out.HasMoreTags}, []any{"a", "1", true})
		out, err = w.client.ListTagsForStream(w.ctx, &kinesis.ListTagsForStreamInput{StreamName: name, ExclusiveStartTagKey: aws.String("a")})
		w.must(err)
		w.equal([]any{len(out.Tags), *out.Tags[0].Key, *out.HasMoreTags}, []any{1, "c", false})
		many := map[string]string{}
		for i := range 49 {
			many[fmt.Sprint("k", i)] = ""
		}
		_, err = w.client.AddTagsToStream(w.ctx, &kinesis.AddTagsToStreamInput{StreamName: name, Tags: many})
		w.fails(err, "InvalidArgumentException")
	})
}

func TestRetentionFollowsTheClock(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 1)
		name := aws.String("s")
		for i := range 3 {
			w.put("s", "k", fmt.Sprint(i))
			w.clock.advance(10 * time.Hour)
		}
		horizon := w.iterator("s", shardID(0), types.ShardIteratorTypeTrimHorizon, "")
		w.equal(data(w.get(horizon).Records), []string{"1", "2"}) // "0" is 30 hours old

		increase := &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: name, RetentionPeriodHours: aws.Int32(48)}
		_, err := w.client.IncreaseStreamRetentionPeriod(w.ctx, increase)
		w.must(err)
		w.clock.advance(24 * time.Hour)
		horizon = w.iterator("s", shardID(0), types.ShardIteratorTypeTrimHorizon, "")
		w.equal(data(w.get(horizon).Records), []string{"1", "2"})

		_, err = w.client.DecreaseStreamRetentionPeriod(w.ctx, &kinesis.DecreaseStreamRetentionPeriodInput{StreamName: name, RetentionPeriodHours: aws.Int32(24)})
		w.must(err)
		w.equal(data(w.get(horizon).Records), []string{})

		increase.RetentionPeriodHours = aws.Int32(23)
		_, err = w.client.IncreaseStreamRetentionPeriod(w.ctx, increase)
		w.fails(err, "InvalidArgumentException")
		_, err = w.client.DecreaseStreamRetentionPeriod(w.ctx, &kinesis.DecreaseStreamRetentionPeriodInput{StreamName: name, RetentionPeriodHours: aws.Int32(25)})
		w.fails(err, "InvalidArgumentException")
	})
}

func TestUnknownRequests(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		_, err := w.client.ListChannels(w.ctx, &kinesis.ListChannelsInput{})
		w.fails(err, "UnknownOperationException")
		_, err = w.client.ListShards(w.ctx, &kinesis.ListShardsInput{StreamARN: aws.String("arn:aws:kinesis:eu-west-1:123456789012:stream/s")})
		w.fails(err, "ResourceNotFoundException")
		_, err = w.client.ListShards(w.ctx, &kinesis.ListShardsInput{})
		w.fails(err, "InvalidArgumentException")

		for target, body := range map[string]string{"": "{}", "Kinesis_20131202.ListStreams": "{", "Kinesis_20131202.PutRecord": `{"Data":"%"}`} {
			r, err := http.NewRequestWithContext(w.ctx, http.MethodPost, w.srv.URL(), strings.NewReader(body))
			w.must(err)
			r.Header.Set("X-Amz-Target", target)
			resp, err := w.srv.Client().Do(r)
			w.must(err)
			w.equal(resp.StatusCode, 400)
			w.equal(resp.Header.Get("Date"), "Sun, 01 Mar 2026 12:00:00 GMT")
			_, err = drain(resp.Body)
			w.must(err)
		}
	})
}

func TestDryRunHasNoEffect(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 1)
		_, err := w.client.PutRecord(w.ctx, &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("x"), DryRun: aws.Bool(true)})
		w.fails(err, "DryRunOperationException")
		records, err := w.srv.Records("s", shardID(0))
		w.must(err)
		w.equal(len(records), 0)
	})
}
