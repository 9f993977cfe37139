package dir_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/dir"
	"github.com/shardlake/shardlake/sink/sinktest"
)

// visible reads every file that a reader of the whole folder would take.
func visible(t *testing.T, root string) map[string][]byte {
	t.Helper()
	got := make(map[string][]byte)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		key, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		key = filepath.ToSlash(key)
		if strings.HasPrefix(key, "_shardlake/staging/") {
			if ext := filepath.Ext(key); ext == ".parquet" || ext == ".avro" {
				t.Errorf("a glob of data files matches the staged %s", key)
			}
			return nil
		}
		got[key], err = os.ReadFile(path)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return got
}

func TestStore(t *testing.T) {
	sinktest.RunStore(t, func(t *testing.T) sinktest.Opened {
		root := filepath.Join(t.TempDir(), "new", "lake")
		return sinktest.Opened{
			Store:   dir.Lake(root),
			Reopen:  func(*testing.T) sink.Store { return dir.Lake(root) },
			Visible: func(t *testing.T) map[string][]byte { return visible(t, root) },
		}
	})
}
