package leasetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// RunBlobs holds a store of objects against the contract of lease.Blobs. open
// returns one that has no objects below "_shardlake/state/" and
// "_shardlake/head/"; it is called once for each part of the suite.
func RunBlobs(t *testing.T, open func(*testing.T) lease.Blobs) {
	for _, part := range []struct {
		name string
		run  func(*testing.T, lease.Blobs)
	}{
		{"an object", testBlob},
		{"sizes", testBlobSizes},
		{"keys", testBlobKeys},
		{"replace", testBlobReplaced},
		{"an ended context", testBlobContext},
		{"at once", testBlobsAtOnce},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, open(t)) })
	}
}

const blobKey = "_shardlake/state/shardId-000000000000/12-3-0123456789abcdef.json"

func wantBlob(t *testing.T, b lease.Blobs, key string, want []byte) {
	t.Helper()
	got, err := b.GetBlob(t.Context(), key)
	if err != nil {
		t.Errorf("get %q: %v", key, err)
	} else if !bytes.Equal(got, want) {
		t.Errorf("get %q: %d bytes %.40q, want %d %.40q", key, len(got), got, len(want), want)
	}
}

func wantNoBlob(t *testing.T, b lease.Blobs, key string) {
	t.Helper()
	if got, err := b.GetBlob(t.Context(), key); !errors.Is(err, lease.ErrNoBlob) {
		t.Errorf("get %q: %.40q, %v, want ErrNoBlob", key, got, err)
	}
}

func testBlob(t *testing.T, b lease.Blobs) {
	wantNoBlob(t, b, blobKey)
	check(t, b.DeleteBlob(t.Context(), blobKey))
	content := []byte(`{"fold":"AAEC"}`)
	check(t, b.PutBlob(t.Context(), blobKey, content))
	content[0] = 'X' // it is the caller's
	content = []byte(`{"fold":"AAEC"}`)
	wantBlob(t, b, blobKey, content)
	got, err := b.GetBlob(t.Context(), blobKey)
	check(t, err)
	clear(got) // so is this
	wantBlob(t, b, blobKey, content)
	for range 2 {
		check(t, b.DeleteBlob(t.Context(), blobKey))
		wantNoBlob(t, b, blobKey)
	}
	check(t, b.PutBlob(t.Context(), blobKey, content))
	wantBlob(t, b, blobKey, content)
	check(t, b.DeleteBlob(t.Context(), blobKey))
}

func testBlobSizes(t *testing.T, b lease.Blobs) {
	for _, n := range []int{0, 1, 4096, 1 << 16, 6<<20 + 1} {
		content := bytes.Repeat([]byte{0, 0xff, '\n', '"'}, n/4+1)[:n]
		check(t, b.PutBlob(t.Context(), blobKey, content))
		wantBlob(t, b, blobKey, content)
	}
	check(t, b.DeleteBlob(t.Context(), blobKey))
}

func testBlobKeys(t *testing.T, b lease.Blobs) {
	keys := []string{
		blobKey, "_shardlake/state/a/1-1-x.json", "_shardlake/state/a/1-1-x-pending.json", "_shardlake/head/a-0123456789abcdef",
		"_shardlake/state/%2E%2E/1-1-x.json", "_shardlake/state/a%2Fb/1-1-x.json", "_shardlake/state/a%20b%00/1-1-x.json",
		"_shardlake/state/123456789012:clicks:1700000000:shardId-000000000000/1-1-x.json",
	}
	for _, k := range keys {
		check(t, b.PutBlob(t.Context(), k, []byte(k)))
	}
	for _, k := range keys {
		wantBlob(t, b, k, []byte(k))
	}
	for _, k := range keys {
		check(t, b.DeleteBlob(t.Context(), k))
		wantNoBlob(t, b, k)
	}
	for _, k := range []string{"", "/", "raw/x.json", "_shardlake", "_shardlake/", "_shardlake/../raw/x.json", "_shardlake//x"} {
		if err := b.PutBlob(t.Context(), k, []byte("x")); err == nil {
			t.Errorf("put %q, outside of _shardlake/", k)
		}
	}
}

func testBlobReplaced(t *testing.T, b lease.Blobs) {
	const key = "_shardlake/head/a-0123456789abcdef"
	for _, s := range []string{"first", "a longer one", "", "x"} {
		check(t, b.PutBlob(t.Context(), key, []byte(s)))
		wantBlob(t, b, key, []byte(s))
	}
	check(t, b.DeleteBlob(t.Context(), key))
}

func testBlobContext(t *testing.T, b lease.Blobs) {
	check(t, b.PutBlob(t.Context(), blobKey, []byte("kept")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.GetBlob(ctx, blobKey)
	for what, err := range map[string]error{"put": b.PutBlob(ctx, blobKey, []byte("late")), "get": err, "delete": b.DeleteBlob(ctx, blobKey)} {
		if !errors.Is(err, context.Canceled) || errors.Is(err, lease.ErrNoBlob) {
			t.Errorf("%s: %v, want the context's error", what, err)
		}
	}
	wantBlob(t, b, blobKey, []byte("kept"))
	check(t, b.DeleteBlob(t.Context(), blobKey))
}

// testBlobsAtOnce: an object is there whole or not at all.
func testBlobsAtOnce(t *testing.T, b lease.Blobs) {
	contents := make([][]byte, 4)
	for i := range contents {
		contents[i] = bytes.Repeat([]byte{byte('a' + i)}, 200_000)
	}
	const key = "_shardlake/head/a-0123456789abcdef"
	check(t, b.PutBlob(t.Context(), key, contents[0]))
	for _, err := range race(8, func(i int) error {
		for range 5 {
			if i < 4 {
				if err := b.PutBlob(context.Background(), key, contents[i]); err != nil {
					return err
				}
				continue
			}
			got, err := b.GetBlob(context.Background(), key)
			if err != nil {
				return err
			}
			if len(got) != 200_000 || bytes.Count(got, got[:1]) != len(got) {
				return fmt.Errorf("read %d bytes that are a mixture", len(got))
			}
		}
		return nil
	}) {
		check(t, err)
	}
	check(t, b.DeleteBlob(t.Context(), key))
}
