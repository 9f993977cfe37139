//go:build judge

package dynamo_test

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/pipeline/lease/leasetest"
)

// TestJudge runs the acceptance suite against a server that somebody else wrote, at
// the URL in SHARDLAKE_DYNAMODB_ENDPOINT. Each part makes a table of its own and
// removes it.
func TestJudge(t *testing.T) {
	endpoint := os.Getenv("SHARDLAKE_DYNAMODB_ENDPOINT")
	if endpoint == "" {
		t.Fatal("SHARDLAKE_DYNAMODB_ENDPOINT is not set")
	}
	outsider := dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: static{}})
	for name, large := range map[string]bool{"rows": false, "rows and objects": true} {
		t.Run(name, func(t *testing.T) {
			leasetest.Run(t, func(t *testing.T) lease.Store {
				c := dynamo.Config{Table: "judge-" + strings.ToLower(rand.Text()), Region: "us-east-1", Endpoint: endpoint, Credentials: static{}}
				if large {
					c.Large, c.HeadEvery = newBlobs(), 1
				}
				t.Cleanup(func() {
					if _, err := outsider.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: aws.String(c.Table)}); err != nil {
						t.Error(err)
					}
				})
				return dynamo.Table(c)
			})
		})
	}
}
