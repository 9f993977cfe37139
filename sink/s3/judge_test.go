//go:build judge

package s3_test

import (
	"crypto/rand"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/s3"
	"github.com/shardlake/shardlake/sink/sinktest"
)

// TestJudge runs the acceptance suite against a server that somebody else wrote.
// Environment:
//
//	SHARDLAKE_S3_ENDPOINT    URL of the server
//	AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
//	SHARDLAKE_S3_BUCKET      made if missing; shardlake-judge by default
//	SHARDLAKE_S3_WHOLE_KEYS  1 if the server lists uploads by whole keys only
//	SHARDLAKE_S3_CHECKSUMS   "crc32" or "none": only that mode, for a server that
//	                         has no checksums; by default both
//
// It leaves its objects under random prefixes.
func TestJudge(t *testing.T) {
	for _, name := range []string{"SHARDLAKE_S3_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		if os.Getenv(name) == "" {
			t.Fatalf("%s is not set", name)
		}
	}
	endpoint, bucket := os.Getenv("SHARDLAKE_S3_ENDPOINT"), os.Getenv("SHARDLAKE_S3_BUCKET")
	if bucket == "" {
		bucket = "shardlake-judge"
	}
	conf, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"))
	if err != nil {
		t.Fatal(err)
	}
	outsider := awss3.NewFromConfig(conf, func(o *awss3.Options) {
		o.BaseEndpoint, o.UsePathStyle = &endpoint, true
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	})
	var owned *types.BucketAlreadyOwnedByYou
	if _, err := outsider.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: &bucket}); err != nil && !errors.As(err, &owned) {
		t.Fatal(err)
	}
	only := os.Getenv("SHARDLAKE_S3_CHECKSUMS")
	for name, mode := range map[string]s3.Checksums{"crc32": s3.ChecksumCRC32, "none": s3.ChecksumWhenRequired} {
		if only != "" && only != name {
			continue
		}
		t.Run("checksums "+name, func(t *testing.T) {
			sinktest.RunStore(t, func(t *testing.T) sinktest.Opened {
				prefix := "judge/" + strings.ToLower(rand.Text()) + "/"
				open := func(*testing.T) sink.Store {
					return s3.Bucket(s3.Config{Bucket: bucket, Region: "us-east-1", Endpoint: endpoint, AllowHTTP: true, Checksums: mode, PartSize: 5 << 20})
				}
				return sinktest.Opened{
					Store: open(t), Reopen: open, Prefix: prefix, Meta: true,
					ListsWholeKeysOnly: os.Getenv("SHARDLAKE_S3_WHOLE_KEYS") == "1",
					Visible:            func(t *testing.T) map[string][]byte { return read(t, outsider, bucket, prefix) },
				}
			})
		})
	}
}

// read fetches all objects below prefix with the plain SDK.
func read(t *testing.T, client *awss3.Client, bucket, prefix string) map[string][]byte {
	t.Helper()
	got := make(map[string][]byte)
	pages := awss3.NewListObjectsV2Paginator(client, &awss3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			out, err := client.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: &bucket, Key: o.Key})
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(out.Body)
			if err := errors.Join(err, out.Body.Close()); err != nil {
				t.Fatal(err)
			}
			got[aws.ToString(o.Key)] = b
		}
	}
	return got
}
