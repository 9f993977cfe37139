package dir_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/dir"
)

// An object goes up in parts and appears, whole, when it is completed.
func ExampleLake() {
	root, err := os.MkdirTemp("", "lake")
	if err != nil {
		log.Fatal(err)
	}
	ctx, lake, key := context.Background(), dir.Lake(root), "raw/dt=2026-01-01/greeting.txt"
	upload, err := lake.Create(ctx, key, nil)
	if err != nil {
		log.Fatal(err)
	}
	part, err := lake.PutPart(ctx, key, upload, 1, sink.NewChunks([]byte("hello, "), []byte("lake")))
	if err != nil {
		log.Fatal(err)
	}
	parts := []sink.Part{part}
	if err := lake.Prepare(ctx, key, upload, parts); err != nil {
		log.Fatal(err)
	}
	_, err = os.ReadFile(filepath.Join(root, key))
	fmt.Println("before:", os.IsNotExist(err))
	if err := lake.Complete(ctx, key, upload, parts); err != nil {
		log.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(root, key))
	fmt.Println("after:", string(b), err)
	if err := os.RemoveAll(root); err != nil {
		log.Fatal(err)
	}
	// Output:
	// before: true
	// after: hello, lake <nil>
}
