package s3_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/lease/leasetest"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/s3"
	"github.com/shardlake/shardlake/sink/s3/s3test"
)

func TestBlobs(t *testing.T) {
	for name, c := range map[string]struct {
		server s3test.Config
		client s3.Config
	}{
		"amazon":            {s3test.Config{StrictChecksums: true, RequireChecksums: true}, s3.Config{}},
		"without trailers":  {s3test.Config{NoTrailers: true}, s3.Config{}},
		"without checksums": {s3test.Config{NoTrailers: true}, s3.Config{Checksums: s3.ChecksumWhenRequired}},
	} {
		t.Run(name, func(t *testing.T) {
			leasetest.RunBlobs(t, func(*testing.T) lease.Blobs {
				c.server.Buckets, c.server.MinPart = []string{"lake"}, -1
				return over(s3test.New(c.server), c.client)
			})
		})
	}
}

func TestBlobsOverSockets(t *testing.T) {
	leasetest.RunBlobs(t, func(t *testing.T) lease.Blobs {
		srv, err := s3test.Listen(s3test.Config{Buckets: []string{"lake"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
		})
		return over(srv.Server, s3.Config{Endpoint: srv.URL()})
	})
}

// TestBlobFaults: what the service cannot do at once is repeated within the call,
// and what it refuses is refused with a remedy.
func TestBlobFaults(t *testing.T) {
	const key = "_shardlake/state/a/1-1-x.json"
	synctest.Test(t, func(t *testing.T) {
		srv := s3test.New(s3test.Config{Buckets: []string{"lake"}})
		s := over(srv, s3.Config{})
		calls := map[string]func(context.Context) error{
			"PutObject": func(ctx context.Context) error { return s.PutBlob(ctx, key, []byte("state")) },
			"GetObject": func(ctx context.Context) error {
				b, err := s.GetBlob(ctx, key)
				if err == nil && string(b) != "state" {
					return errors.New("read " + string(b))
				}
				return err
			},
			"DeleteObject": func(ctx context.Context) error { return s.DeleteBlob(ctx, key) },
		}
		for op, do := range calls {
			for _, kind := range []s3test.Kind{s3test.SlowDown, s3test.InternalError, s3test.CutBefore, s3test.CutAfter, s3test.CutBody, s3test.ExpiredToken} {
				if err := s.PutBlob(t.Context(), key, []byte("state")); err != nil {
					t.Fatal(err)
				}
				hit := srv.Fault(s3test.Fault{Op: op, Kind: kind, Times: 2})
				if err := do(t.Context()); err != nil {
					t.Errorf("%s, %v: %v", op, kind, err)
				}
				if hit.Hits() == 0 {
					t.Errorf("%s, %v: not met", op, kind)
				}
				srv.ClearFaults()
			}
			srv.Fault(s3test.Fault{Op: op, Kind: s3test.AccessDenied, Times: -1})
			if err := do(t.Context()); !errors.Is(err, sink.ErrRefused) || errors.Is(err, lease.ErrNoBlob) {
				t.Errorf("%s, denied: %v", op, err)
			}
			srv.ClearFaults()
			srv.Fault(s3test.Fault{Op: op, Kind: s3test.Hang, Times: -1})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := do(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s, hanging: %v", op, err)
			}
			cancel()
			srv.ClearFaults()
			synctest.Wait()
		}
	})
}

// TestBlobBucketGone: no bucket is not the same as no object.
func TestBlobBucketGone(t *testing.T) {
	s := over(s3test.New(s3test.Config{}), s3.Config{})
	if _, err := s.GetBlob(t.Context(), "_shardlake/state/a/x.json"); !errors.Is(err, sink.ErrRefused) || errors.Is(err, lease.ErrNoBlob) {
		t.Errorf("get: %v, want ErrRefused", err)
	}
}
