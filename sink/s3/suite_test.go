package s3_test

import (
	"context"
	"fmt"
	"log"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/s3"
	"github.com/shardlake/shardlake/sink/s3/s3test"
	"github.com/shardlake/shardlake/sink/sinktest"
)

// over returns a store over a server in this process. Its parts are of 64 KiB,
// unless c says otherwise.
func over(srv *s3test.Server, c s3.Config) *s3.Store {
	c.Bucket, c.AWS = "lake", noFiles
	c.Credentials = credentials.NewStaticCredentialsProvider("key", "secret", "")
	if c.Endpoint == "" {
		c.HTTPClient = srv.Client()
	}
	if c.PartSize != 0 {
		return s3.Bucket(c)
	}
	return s3.SmallParts(c)
}

// visible is what the server shows at this instant.
func visible(srv *s3test.Server) map[string][]byte {
	got := make(map[string][]byte)
	for k, o := range srv.Objects("lake", "") {
		got[k] = o.Body
	}
	return got
}

// TestStore runs the acceptance suite over servers that differ as stores that
// speak S3 differ.
func TestStore(t *testing.T) {
	for name, c := range map[string]struct {
		server s3test.Config
		client s3.Config
	}{
		"amazon":                    {s3test.Config{StrictChecksums: true, RequireChecksums: true}, s3.Config{}},
		"without trailers":          {s3test.Config{NoTrailers: true, RepeatComplete: s3test.RepeatNoSuchUpload}, s3.Config{}},
		"without checksums":         {s3test.Config{NoTrailers: true}, s3.Config{Checksums: s3.ChecksumWhenRequired}},
		"without checksums or help": {s3test.Config{NoTrailers: true, RepeatComplete: s3test.RepeatNoSuchUpload}, s3.Config{Checksums: s3.ChecksumWhenRequired}},
	} {
		t.Run(name, func(t *testing.T) {
			sinktest.RunStore(t, func(*testing.T) sinktest.Opened {
				c.server.Buckets, c.server.MinPart = []string{"lake"}, -1
				srv := s3test.New(c.server)
				return sinktest.Opened{
					Store:   over(srv, c.client),
					Reopen:  func(*testing.T) sink.Store { return over(srv, c.client) },
					Visible: func(*testing.T) map[string][]byte { return visible(srv) },
					Meta:    true,
				}
			})
		})
	}
}

// TestStoreOverSockets runs the suite through net/http, where connections are
// reused and bodies are read by goroutines of their own.
func TestStoreOverSockets(t *testing.T) {
	for name, c := range map[string]s3.Config{
		"large parts":  {PartSize: 5 << 20},
		"small parts":  {},
		"no checksums": {Checksums: s3.ChecksumWhenRequired},
	} {
		t.Run(name, func(t *testing.T) {
			sinktest.RunStore(t, func(t *testing.T) sinktest.Opened {
				server := s3test.Config{Buckets: []string{"lake"}}
				if c.PartSize == 0 {
					server.MinPart = -1
				}
				srv, err := s3test.Listen(server)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := srv.Close(); err != nil {
						t.Error(err)
					}
				})
				open := func(*testing.T) sink.Store {
					c.Endpoint = srv.URL()
					return over(srv.Server, c)
				}
				return sinktest.Opened{
					Store: open(t), Reopen: open, Meta: true,
					Visible: func(*testing.T) map[string][]byte { return visible(srv.Server) },
				}
			})
		})
	}
}

// TestSlowBucket makes many objects at once in a bucket that takes few requests a
// second. All of them appear, though single calls may give up after their minute
// and be repeated by their caller.
func TestSlowBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := s3test.New(s3test.Config{Buckets: []string{"lake"}, Rate: 5, Burst: 5})
		s := over(srv, s3.Config{})
		begun := time.Now()
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if err := patiently(t.Context(), s, fmt.Sprintf("raw/i=%d/x.parquet", i), []byte("rows")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := len(visible(srv)); n != 100 {
			t.Errorf("%d objects, want 100", n)
		}
		if took := time.Since(begun); took < 50*time.Second || took > 20*time.Minute {
			t.Errorf("300 requests at 5 a second took %v", took)
		}
	})
}

// patiently makes an object of one part, repeating each call as a sink does.
func patiently(ctx context.Context, s sink.Store, key string, content []byte) error {
	again := func(f func() error) error {
		for try := 0; ; try++ {
			if err := f(); err == nil || try == 20 {
				return err
			}
		}
	}
	var id string
	var part sink.Part
	if err := again(func() (err error) { id, err = s.Create(ctx, key, nil); return err }); err != nil {
		return err
	}
	if err := again(func() (err error) {
		part, err = s.PutPart(ctx, key, id, 1, sink.NewChunks(content))
		return err
	}); err != nil {
		return err
	}
	if err := s.Prepare(ctx, key, id, []sink.Part{part}); err != nil {
		return err
	}
	return again(func() error { return s.Complete(ctx, key, id, []sink.Part{part}) })
}

// An object goes up in parts and appears, whole, when it is completed.
func ExampleBucket() {
	service := s3test.New(s3test.Config{Buckets: []string{"lake"}})
	store := s3.Bucket(s3.Config{
		Bucket: "lake",
		Region: "eu-west-1",
		// A program leaves these two to the environment.
		HTTPClient:  service.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
	})
	ctx, key := context.Background(), "raw/dt=2026-01-01/greeting.txt"
	upload, err := store.Create(ctx, key, nil)
	if err != nil {
		log.Fatal(err)
	}
	part, err := store.PutPart(ctx, key, upload, 1, sink.NewChunks([]byte("hello, "), []byte("lake")))
	if err != nil {
		log.Fatal(err)
	}
	parts := []sink.Part{part}
	if err := store.Prepare(ctx, key, upload, parts); err != nil {
		log.Fatal(err)
	}
	fmt.Println("before:", len(service.Objects("lake", "")))
	if err := store.Complete(ctx, key, upload, parts); err != nil {
		log.Fatal(err)
	}
	fmt.Println("after:", string(service.Objects("lake", "")[key].Body))
	fmt.Println(store.Location())
	// Output:
	// before: 0
	// after: hello, lake
	// s3://lake?region=eu-west-1
}
