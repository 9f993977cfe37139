package lease_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// A lane is acquired, moved on by commits, and taken over by another owner.
func ExampleStore() {
	ctx := context.Background()
	var s lease.Store = new(lease.Memory)
	if err := s.Create(ctx, lease.Row{Lane: "shardId-000000000000"}); err != nil {
		log.Fatal(err)
	}
	seen, err := s.Get(ctx, "shardId-000000000000")
	if err != nil {
		log.Fatal(err)
	}
	row, err := s.Acquire(ctx, seen, "worker-1", lease.NewID())
	if err != nil {
		log.Fatal(err)
	}
	row.Number, row.CommitID, row.Pos = row.Number+1, lease.NewID(), shardlake.Position{Seq: "4711"}
	fmt.Println("commit:", s.Commit(ctx, row))

	// The commit was a sign of life: whoever looked before it does not get the lane.
	_, err = s.Acquire(ctx, row, "worker-2", lease.NewID())
	fmt.Println("worker-2:", err)
	if seen, err = s.Get(ctx, row.Lane); err != nil {
		log.Fatal(err)
	}
	taken, err := s.Acquire(ctx, seen, "worker-2", lease.NewID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("worker-2 goes on after", taken.Pos, "with fence", taken.Fence)

	row.Number, row.CommitID = row.Number+1, lease.NewID()
	fmt.Println("worker-1:", s.Commit(ctx, row))
	// Output:
	// commit: <nil>
	// worker-2: the lane belongs to another owner
	// worker-2 goes on after 4711.0 with fence 2
	// worker-1: the lane belongs to another owner
}

// A commit names what it carries over, and gives only what is new.
func ExampleStore_segments() {
	ctx := context.Background()
	var s lease.Store = new(lease.Memory)
	if err := s.Create(ctx, lease.Row{Lane: "shardId-000000000000"}); err != nil {
		log.Fatal(err)
	}
	seen, err := s.Get(ctx, "shardId-000000000000")
	if err != nil {
		log.Fatal(err)
	}
	row, err := s.Acquire(ctx, seen, "worker-1", lease.NewID())
	if err != nil {
		log.Fatal(err)
	}
	row.Number, row.CommitID = row.Number+1, lease.NewID()
	row.State = map[string][]byte{"snapshot-1": []byte("a million windows")}
	fmt.Println("commit:", s.Commit(ctx, row))

	row.Number, row.CommitID = row.Number+1, lease.NewID()
	row.State = map[string][]byte{"snapshot-1": nil, "delta-2": []byte("a few of them")}
	fmt.Println("commit:", s.Commit(ctx, row))
	now, err := s.Get(ctx, row.Lane)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, and %s\n", now.State["snapshot-1"], now.State["delta-2"])

	row.Number, row.CommitID = row.Number+1, lease.NewID()
	row.State = map[string][]byte{"snapshot-3": nil}
	fmt.Println("nothing to carry over:", errors.Is(s.Commit(ctx, row), lease.ErrNoSegment))
	// Output:
	// commit: <nil>
	// commit: <nil>
	// a million windows, and a few of them
	// nothing to carry over: true
}

// A folder has one user at a time, and keeps its rows between them.
func ExampleOpenFile() {
	dir, err := os.MkdirTemp("", "leases")
	if err != nil {
		log.Fatal(err)
	}
	f, err := lease.OpenFile(dir)
	if err != nil {
		log.Fatal(err)
	}
	if err := f.Create(context.Background(), lease.Row{Lane: "values-0"}); err != nil {
		log.Fatal(err)
	}
	_, err = lease.OpenFile(dir)
	fmt.Println("second user refused:", errors.Is(err, lease.ErrLocked))
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}

	f, err = lease.OpenFile(dir)
	if err != nil {
		log.Fatal(err)
	}
	rows, err := f.List(context.Background())
	fmt.Println(len(rows), "row of", rows[0].Lane, err)
	if err := errors.Join(f.Close(), os.RemoveAll(dir)); err != nil {
		log.Fatal(err)
	}
	// Output:
	// second user refused: true
	// 1 row of values-0 <nil>
}
