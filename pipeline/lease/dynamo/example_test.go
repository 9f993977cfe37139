package dynamo_test

import (
	"context"
	"fmt"
	"log"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo/dynamotest"
)

// Two workers of a fleet share a table: one commits, the other takes over when the
// first has given no sign for the lease time.
func ExampleTable() {
	service := dynamotest.New(dynamotest.Config{})
	worker := func() *dynamo.Store {
		return dynamo.Table(dynamo.Config{
			Table: "clicks-to-lake",
			// A program leaves these to the environment.
			Region: "eu-west-1", HTTPClient: service.Client(), Credentials: static{},
		})
	}
	ctx, one, two := context.Background(), worker(), worker()
	if err := one.Open(ctx); err != nil { // makes the table
		log.Fatal(err)
	}
	lane := "shardId-000000000000"
	if err := one.Create(ctx, lease.Row{Lane: lane, Begin: shardlake.Never}); err != nil {
		log.Fatal(err)
	}
	seen, err := one.Get(ctx, lane)
	if err != nil {
		log.Fatal(err)
	}
	row, err := one.Acquire(ctx, seen, "worker-1", lease.NewID())
	if err != nil {
		log.Fatal(err)
	}
	row.Number, row.CommitID, row.Pos = 1, lease.NewID(), shardlake.Position{Seq: "4711"}
	fmt.Println("worker-1 commits:", one.Commit(ctx, row))
	fmt.Println("the KCL reads:", service.Item("clicks-to-lake", lane)["checkpoint"].Text)

	if seen, err = two.Get(ctx, lane); err != nil {
		log.Fatal(err)
	}
	// ... and its Beat has not moved since ...
	taken, err := two.Acquire(ctx, seen, "worker-2", lease.NewID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("worker-2 goes on after", taken.Pos, "with fence", taken.Fence)
	row.Number, row.CommitID = 2, lease.NewID()
	fmt.Println("worker-1 commits:", one.Commit(ctx, row))
	// Output:
	// worker-1 commits: <nil>
	// the KCL reads: 4711
	// worker-2 goes on after 4711.0 with fence 2
	// worker-1 commits: dynamo: UpdateItem of row "shardId-000000000000" in table clicks-to-lake: the lane belongs to another owner
}
