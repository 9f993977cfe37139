package conform_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest/conform"
)

func client(endpoint string, via aws.HTTPClient) *kinesis.Client {
	return kinesis.New(kinesis.Options{Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: via,
		Credentials: credentials.NewStaticCredentialsProvider("test", "testtest", "")})
}

// The service in this repository has no gaps.
func TestKinesistest(t *testing.T) {
	conform.Run(t, conform.Service{Prefix: "c", In: synctest.Test, New: func(*testing.T) *kinesis.Client {
		srv := kinesistest.New(kinesistest.Config{StatusDelay: time.Second})
		return client(srv.URL(), srv.Client())
	}})
}
