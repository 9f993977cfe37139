package s3test_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/shardlake/shardlake/sink/s3/s3test"
)

// doer is what both the in-process client and http.Client are.
type doer interface {
	Do(*http.Request) (*http.Response, error)
}

// newClient is the real SDK client without retries, path-style, over https (so
// with trailing checksums) at a name that only the in-process client resolves.
func newClient(h doer, change ...func(*s3.Options)) *s3.Client {
	o := s3.Options{
		Region:       "us-east-1",
		HTTPClient:   h,
		BaseEndpoint: aws.String("https://s3.test"),
		Credentials:  credentials.NewStaticCredentialsProvider("AKTEST", "secret", ""),
		UsePathStyle: true,
		Retryer:      aws.NopRetryer{},
		// What config.LoadDefaultConfig sets; without it the SDK sends no checksums.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}
	for _, f := range change {
		f(&o)
	}
	return s3.New(o)
}

// lakeServer has the bucket "lake" and no minimum size of parts.
func lakeServer(change ...func(*s3test.Config)) *s3test.Server {
	cfg := s3test.Config{Buckets: []string{"lake"}, MinPart: -1}
	for _, f := range change {
		f(&cfg)
	}
	return s3test.New(cfg)
}

// wantCode fails the test unless err is an API error of that code.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Fatalf("error %v, want code %s", err, code)
	}
}

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func put(t *testing.T, client *s3.Client, key, body string) *s3.PutObjectOutput {
	t.Helper()
	out, err := client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("lake"), Key: &key, Body: strings.NewReader(body),
	})
	return must(t, out, err)
}

func get(t *testing.T, client *s3.Client, key string) string {
	t.Helper()
	out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("lake"), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	return string(must(t, body, err))
}

func create(t *testing.T, client *s3.Client, key string, change ...func(*s3.CreateMultipartUploadInput)) string {
	t.Helper()
	in := &s3.CreateMultipartUploadInput{Bucket: aws.String("lake"), Key: &key}
	for _, f := range change {
		f(in)
	}
	out, err := client.CreateMultipartUpload(t.Context(), in)
	return *must(t, out, err).UploadId
}

func part(t *testing.T, client *s3.Client, key, upload string, n int32, body string) types.CompletedPart {
	t.Helper()
	out, err := client.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: aws.String("lake"), Key: &key, UploadId: &upload, PartNumber: &n, Body: strings.NewReader(body),
	})
	must(t, out, err)
	return types.CompletedPart{
		PartNumber: &n, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC64NVME: out.ChecksumCRC64NVME,
		ChecksumSHA256: out.ChecksumSHA256, ChecksumSHA1: out.ChecksumSHA1, ChecksumCRC32C: out.ChecksumCRC32C,
	}
}

func complete(t *testing.T, client *s3.Client, key, upload string, parts ...types.CompletedPart) (*s3.CompleteMultipartUploadOutput, error) {
	return client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: aws.String("lake"), Key: &key, UploadId: &upload,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
}
