package s3test_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/shardlake/shardlake/sink/s3/s3test"
)

// files are the files below dir, as a glob would find them.
func files(t *testing.T, dir string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			found = append(found, filepath.ToSlash(name))
		}
		return err
	})
	must(t, 0, err)
	return found
}

func TestFolderShowsTheObjects(t *testing.T) {
	dir := t.TempDir()
	srv := lakeServer(func(c *s3test.Config) { c.Dir = dir })
	client := newClient(srv.Client())
	put(t, client, "day=1/a.parquet", "one")
	id := create(t, client, "day=2/h=3/b.parquet")
	p := part(t, client, "day=2/h=3/b.parquet", id, 1, "two")
	if got := files(t, dir); !slices.Equal(got, []string{"lake/day=1/a.parquet"}) {
		t.Errorf("before Complete: %v", got)
	}
	_, err := complete(t, client, "day=2/h=3/b.parquet", id, p)
	must(t, 0, err)
	put(t, client, "day=1/a.parquet", "three")
	_, err = client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("lake"), Key: aws.String("day=1/a.parquet"), Body: strings.NewReader("refused"), IfNoneMatch: aws.String("*"),
	})
	wantCode(t, err, "PreconditionFailed")
	if got := files(t, dir); !slices.Equal(got, []string{"lake/day=1/a.parquet", "lake/day=2/h=3/b.parquet"}) {
		t.Errorf("files: %v", got)
	}
	text, err := os.ReadFile(filepath.Join(dir, "lake", "day=1", "a.parquet"))
	if must(t, text, err); string(text) != "three" {
		t.Errorf("%q", text)
	}
	_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("lake"), Key: aws.String("day=2/h=3/b.parquet")})
	must(t, 0, err)
	if _, err := os.Stat(filepath.Join(dir, "lake", "day=2")); !os.IsNotExist(err) {
		t.Errorf("the empty folder stays: %v", err)
	}
	_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("lake"), Key: aws.String("day=1/a.parquet")})
	must(t, 0, err)
	_, err = client.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: aws.String("lake")})
	must(t, 0, err)
	if _, err := os.Stat(filepath.Join(dir, "lake")); !os.IsNotExist(err) {
		t.Errorf("the bucket's folder stays: %v", err)
	}
}

func TestKeysThatAreNoFiles(t *testing.T) {
	dir := t.TempDir()
	srv := lakeServer(func(c *s3test.Config) { c.Dir = filepath.Join(dir, "lakes"); c.Buckets = []string{"lake"} })
	client := newClient(srv.Client())
	put(t, client, "a/b", "x")
	for _, key := range []string{"../x", "a/../../x", "/etc/x", "a//b", "a/", "./x", "..", ".", "a/b/c", "a", "a\x00b"} {
		err := tryPut(t.Context(), client, key, "v")
		wantCode(t, err, "InvalidRequest")
		if !strings.Contains(err.Error(), "Config.Dir cannot hold the key") {
			t.Errorf("%q: %v", key, err)
		}
	}
	_, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: aws.String("lake"), Key: aws.String("../x"),
	})
	wantCode(t, err, "InvalidRequest")
	if got := files(t, dir); !slices.Equal(got, []string{"lakes/lake/a/b"}) {
		t.Errorf("files %v", got)
	}
	if srv.Bytes() != 1 || len(srv.Objects("lake", "")) != 1 {
		t.Errorf("%d bytes, %v", srv.Bytes(), srv.Objects("lake", ""))
	}
	// A link that leads out of the folder is not followed.
	must(t, 0, os.Symlink(dir, filepath.Join(dir, "lakes", "lake", "out")))
	wantCode(t, tryPut(t.Context(), client, "out/x", "v"), "InternalError")
	if _, err := os.Stat(filepath.Join(dir, "x")); !os.IsNotExist(err) {
		t.Errorf("written through the link: %v", err)
	}
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, 0, os.WriteFile(file, nil, 0o600))
	srv := lakeServer(func(c *s3test.Config) { c.Dir = file })
	err := tryPut(t.Context(), newClient(srv.Client()), "k", "v")
	wantCode(t, err, "InternalError")
	if !strings.Contains(err.Error(), "Config.Dir") || len(srv.Objects("lake", "")) != 0 || srv.Bytes() != 0 {
		t.Errorf("%v, %v", err, srv.Objects("lake", ""))
	}
}

// A reader of the folder never sees half a file.
func TestFilesAppearWhole(t *testing.T) {
	dir := t.TempDir()
	srv := lakeServer(func(c *s3test.Config) { c.Dir = dir })
	client := newClient(srv.Client())
	texts := []string{strings.Repeat("a", 1<<20), strings.Repeat("b", 1<<20)}
	put(t, client, "k", texts[0])
	var writer sync.WaitGroup
	stop := make(chan struct{})
	writer.Go(func() {
		defer close(stop)
		for i := range 20 {
			if err := tryPut(t.Context(), client, "k", texts[i%2]); err != nil {
				t.Error(err)
			}
		}
	})
	for reading := true; reading; {
		select {
		case <-stop:
			reading = false
		default:
		}
		text, err := os.ReadFile(filepath.Join(dir, "lake", "k"))
		if must(t, text, err); string(text) != texts[0] && string(text) != texts[1] {
			t.Fatalf("half a file: %d bytes", len(text))
		}
	}
	writer.Wait()
}
