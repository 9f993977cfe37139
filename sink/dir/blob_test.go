package dir_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/lease/leasetest"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/dir"
)

func TestBlobs(t *testing.T) {
	leasetest.RunBlobs(t, func(t *testing.T) lease.Blobs { return dir.Lake(filepath.Join(t.TempDir(), "lake")) })
}

// TestBlobAfterRestart: another store of the folder finds it, and nothing is left
// in the staging folder.
func TestBlobAfterRestart(t *testing.T) {
	root, key := t.TempDir(), "_shardlake/state/a/1-1-x.json"
	if err := dir.Lake(root).PutBlob(t.Context(), key, []byte("state")); err != nil {
		t.Fatal(err)
	}
	if b, err := dir.Lake(root).GetBlob(t.Context(), key); err != nil || string(b) != "state" {
		t.Errorf("read %q, %v", b, err)
	}
	left, err := os.ReadDir(filepath.Join(root, "_shardlake", "staging"))
	if err != nil || len(left) != 0 {
		t.Errorf("left in the staging folder: %v, %v", left, err)
	}
}

// TestBlobDiskFails: a blob that did not reach the disk is not there.
func TestBlobDiskFails(t *testing.T) {
	root, key := t.TempDir(), "_shardlake/state/a/1-1-x.json"
	s, broken := dir.Lake(root), errors.New("input/output error")
	s.SetSync(func(f *os.File) error {
		if strings.HasSuffix(f.Name(), ".blob") {
			return broken
		}
		return nil
	})
	if err := s.PutBlob(t.Context(), key, []byte("state")); !errors.Is(err, broken) {
		t.Errorf("put: %v", err)
	}
	if _, err := s.GetBlob(t.Context(), key); !errors.Is(err, lease.ErrNoBlob) {
		t.Errorf("get: %v", err)
	}
	left, err := os.ReadDir(filepath.Join(root, "_shardlake", "staging"))
	if err != nil || len(left) != 0 {
		t.Errorf("left in the staging folder: %v, %v", left, err)
	}
}

// TestBlobFolderVanishes: a clean-up that removes empty folders does not disturb.
func TestBlobFolderVanishes(t *testing.T) {
	root := t.TempDir()
	s := dir.Lake(root)
	for range 2 {
		if err := s.PutBlob(t.Context(), "_shardlake/state/a/1-1-x.json", []byte("state")); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(root, "_shardlake", "state")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBlobKeysOfUploads(t *testing.T) {
	s := dir.Lake(t.TempDir())
	for _, key := range []string{"_shardlake/staging/x.blob", "_SHARDLAKE/x", "raw/x"} {
		if err := s.PutBlob(t.Context(), key, []byte("x")); !errors.Is(err, sink.ErrRefused) {
			t.Errorf("put %q: %v, want ErrRefused", key, err)
		}
	}
}
