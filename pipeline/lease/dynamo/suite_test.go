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
	for name, c := range map[string]struct {
		server dynamotest.Config
		large  bool
	}{
		"amazon":                  {dynamotest.Config{}, true},
		"without objects":         {dynamotest.Config{}, false},
		"without items on errors": {dynamotest.Config{NoOldOnFailure: true, PageBytes: 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			leasetest.Run(t, func(*testing.T) lease.Store {
				conf := dynamo.Config{HeadEvery: 1}
				if c.large {
					conf.Large = newBlobs()
				}
				return over(dynamotest.New(c.server), conf)
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
