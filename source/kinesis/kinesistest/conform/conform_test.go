package conform_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest/conform"
)

func clientOf(endpoint string, c kinesis.HTTPClient) *kinesis.Client {
	return kinesis.New(kinesis.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint), HTTPClient: c,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer:     aws.NopRetryer{},
	})
}

// In the process and in no time, with every status taking its time.
func TestInProcess(t *testing.T) {
	for name, config := range map[string]kinesistest.Config{
		"plain":  {},
		"strict": {StatusDelay: 2 * time.Second, ConsumerDelay: time.Second, Limits: true},
	} {
		t.Run(name, func(t *testing.T) {
			conform.Run(t, conform.Service{
				New: func(*testing.T) *kinesis.Client {
					srv := kinesistest.New(config)
					return clientOf(srv.URL(), srv.Client())
				},
				Within: synctest.Test, Timeout: 5 * time.Minute,
			})
		})
	}
}

// ownBody hides the WriteTo of request bodies; see kinesistest.Listen for why.
type ownBody struct{ *http.Client }

func (c ownBody) Do(r *http.Request) (*http.Response, error) {
	r = r.WithContext(r.Context())
	if r.Body != nil {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.Client.Do(r)
}

// What a server gets wrong, the cases notice, each as far as it looks there.
func TestFaultsAreNoticed(t *testing.T) {
	for _, test := range []struct {
		fault kinesistest.Fault
		fails []string
	}{
		{kinesistest.Fault{Op: "GetRecords", Kind: kinesistest.OutOfOrder}, []string{
			"put-order-in-batch", "put-any-bytes", "iterator-trim-horizon", "iterator-at-sequence", "iterator-shard-start",
			"iterator-past-timestamp", "iterator-timestamp", "iterator-again", "get-limit", "reshard-end",
		}},
		{kinesistest.Fault{Op: "GetRecords", Kind: kinesistest.FalseEnd}, []string{
			"get-limit", "get-empty", "get-behind", "reshard-children-of-split", "reshard-child-of-merge",
		}},
		{kinesistest.Fault{Op: "SubscribeToShard", Kind: kinesistest.FalseEnd}, []string{
			"subscribe-pushes", "subscribe-latest", "subscribe-continues", "subscribe-idle", "subscribe-children", "subscribe-takes-over",
		}},
		{kinesistest.Fault{Op: "SubscribeToShard", Kind: kinesistest.RepeatEvent, After: 1}, []string{"subscribe-latest", "subscribe-idle"}},
		{kinesistest.Fault{Op: "ListStreams", Kind: kinesistest.CutBefore}, []string{"stream-listed"}},
	} {
		t.Run(test.fault.Op+" "+test.fault.Kind.String(), func(t *testing.T) {
			var gaps []conform.Gap
			for _, name := range test.fails {
				gaps = append(gaps, conform.Gap{Case: name, Does: "has a fault"})
			}
			test.fault.Times = kinesistest.Forever
			conform.Run(t, conform.Service{
				New: func(*testing.T) *kinesis.Client {
					srv := kinesistest.New(kinesistest.Config{})
					srv.Fault(test.fault)
					return clientOf(srv.URL(), srv.Client())
				},
				Gaps: gaps, Within: synctest.Test,
			})
		})
	}
}

// The cases have names of their own, and each says what it wants.
func TestCasesAreNamed(t *testing.T) {
	var names []string
	for _, c := range conform.Cases() {
		if c.Name == "" || c.Wants == "" || slices.Contains(names, c.Name) {
			t.Errorf("%+v", c)
		}
		names = append(names, c.Name)
	}
	for _, g := range slices.Concat(conform.LocalGaps(), conform.FerroGaps()) {
		if !slices.Contains(names, g.Case) || g.Does == "" {
			t.Errorf("gap %+v", g)
		}
	}
}

// What is expected of the settings of a stream.
func ExampleCases() {
	for _, c := range conform.Cases() {
		if strings.HasPrefix(c.Name, "setting-") {
			fmt.Printf("%s: %s\n", c.Name, c.Wants)
		}
	}
	// Output:
	// setting-retention: retention goes up and down between 24 and 8760 hours
	// setting-tags-of-stream: tags are added, replaced, removed, and listed by key
	// setting-tags-of-resource: TagResource works on the ARN of a stream
	// setting-policy: a resource policy is kept, shown and removed
	// setting-mode: a stream changes to on-demand, and its shards stay
	// setting-encryption: encryption with a key is shown until it is stopped
	// setting-monitoring: shard-level metrics are turned on and off
	// setting-limits: DescribeLimits counts the open shards
	// setting-record-size: records of up to 10 MiB are put once the stream allows them
}
