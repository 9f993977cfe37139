package main

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/shardlake/shardlake/examples/datasets"
	"github.com/shardlake/shardlake/sink/dir"
	"github.com/shardlake/shardlake/sink/s3"
)

const region = "us-east-1"

// openLake reads dir:PATH or s3:BUCKET@ENDPOINT. folder is the path of a local
// lake, "" for one in a bucket.
func openLake(where, key, secret string) (lake datasets.Lake, folder string, err error) {
	kind, rest, _ := strings.Cut(where, ":")
	switch kind {
	case "dir":
		if rest == "" {
			break
		}
		return dir.Lake(rest), rest, nil
	case "s3":
		bucket, endpoint, ok := strings.Cut(rest, "@")
		if !ok || bucket == "" || endpoint == "" {
			break
		}
		return s3.Bucket(s3.Config{
			Bucket: bucket, Endpoint: endpoint, Region: region, PartSize: 5 << 20,
			Credentials: credentials.NewStaticCredentialsProvider(key, secret, ""),
		}), "", nil
	}
	return nil, "", fmt.Errorf("-lake %q: want dir:PATH or s3:BUCKET@ENDPOINT", where)
}
