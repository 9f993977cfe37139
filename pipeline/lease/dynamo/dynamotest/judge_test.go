//go:build judge

package dynamotest_test

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// TestJudge asks a server that somebody else wrote, at the URL in
// SHARDLAKE_DYNAMODB_ENDPOINT, what this one is asked: where both agree, the tests
// that build on this one mean something.
func TestJudge(t *testing.T) {
	endpoint := os.Getenv("SHARDLAKE_DYNAMODB_ENDPOINT")
	if endpoint == "" {
		t.Fatal("SHARDLAKE_DYNAMODB_ENDPOINT is not set")
	}
	c := dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: static{}, Retryer: aws.NopRetryer{}})
	table := "probes-" + strings.ToLower(rand.Text())
	makeTable(t, c, table)
	t.Run("probes", func(t *testing.T) {
		t.Run("conditions", func(t *testing.T) { probeConditions(t, c, table) })
		t.Run("updates", func(t *testing.T) { probeUpdates(t, c, table) })
	})
	_, err := c.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: &table})
	check(t, err)
}
