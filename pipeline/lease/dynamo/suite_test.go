package dynamo_test

import (
	"testing"

	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo/dynamotest"
	"github.com/shardlake/shardlake/pipeline/lease/leasetest"
)

// TestStore runs the acceptance suite over servers that differ as those differ that
// speak the protocol.
func TestStore(t *testing.T) {
	for name, c := range map[string]dynamotest.Config{
		"amazon":                  {},
		"without items on errors": {NoOldOnFailure: true},
		"small pages":             {PageBytes: 1},
	} {
		t.Run(name, func(t *testing.T) {
			leasetest.Run(t, func(*testing.T) lease.Store { return over(dynamotest.New(c), dynamo.Config{}) })
		})
		t.Run(name+", large", func(t *testing.T) {
			leasetest.Run(t, func(*testing.T) lease.Store {
				return over(dynamotest.New(c), dynamo.Config{Large: newBlobs(), HeadEvery: 1})
			})
		})
	}
}

// TestStoreOverSockets runs the suite through net/http.
func TestStoreOverSockets(t *testing.T) {
	leasetest.Run(t, func(t *testing.T) lease.Store {
		srv, err := dynamotest.Listen(dynamotest.Config{})
		check(t, err)
		t.Cleanup(func() { check(t, srv.Close()) })
		return dynamo.Table(dynamo.Config{Table: table, Region: "us-east-1", Endpoint: srv.URL(), Credentials: static{}})
	})
}
