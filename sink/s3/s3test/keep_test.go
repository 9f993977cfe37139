package s3test_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/shardlake/shardlake/sink/s3/s3test"
)

// What was visible when a server ended is there in the next one, as it was.
func TestFolderOutlivesTheServer(t *testing.T) {
	dir := t.TempDir()
	first := lakeServer(func(c *s3test.Config) { c.Dir, c.Keep = dir, true })
	must(t, 0, func() error { _, err := first.Load(); return err }())
	client := newClient(first.Client())
	_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("lake"), Key: aws.String("a.json/b"), Body: strings.NewReader("one"),
		Metadata: map[string]string{"sl-commit": "0123"}, ContentType: aws.String("text/plain"), ChecksumAlgorithm: "CRC32"})
	must(t, 0, err)
	id := create(t, client, "day=1/b")
	p, q := part(t, client, "day=1/b", id, 1, "two"), part(t, client, "day=1/b", id, 2, "three")
	_, err = complete(t, client, "day=1/b", id, p, q)
	must(t, 0, err)
	put(t, client, "gone", "x")
	_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("lake"), Key: aws.String("gone")})
	must(t, 0, err)
	put(t, client, "other", "old")
	must(t, 0, os.WriteFile(filepath.Join(dir, "lake", "other"), []byte("replaced by hand"), 0o666))
	must(t, 0, os.WriteFile(filepath.Join(dir, ".hidden"), nil, 0o666))
	must(t, 0, os.MkdirAll(filepath.Join(dir, "second"), 0o777))
	create(t, client, "unfinished")

	again := lakeServer(func(c *s3test.Config) { c.Dir, c.Keep = dir, true })
	n, err := again.Load()
	if must(t, 0, err); n != 3 {
		t.Errorf("%d objects", n)
	}
	was, is := first.Objects("lake", ""), again.Objects("lake", "")
	for _, key := range []string{"a.json/b", "day=1/b"} {
		a, b := was[key], is[key]
		if a.ETag != b.ETag || !a.Modified.Equal(b.Modified) || a.Parts != b.Parts || string(a.Body) != string(b.Body) || b.Metadata["sl-commit"] != a.Metadata["sl-commit"] || a.Header.Get("Content-Type") != b.Header.Get("Content-Type") {
			t.Errorf("%+v became %+v", a, b)
		}
	}
	if string(is["other"].Body) != "replaced by hand" || is["other"].ETag == was["other"].ETag {
		t.Errorf("%+v", is["other"])
	}
	head, err := newClient(again.Client()).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("lake"), Key: aws.String("a.json/b"), ChecksumMode: "ENABLED"})
	if must(t, 0, err); aws.ToString(head.ChecksumCRC32) == "" {
		t.Error("the checksum is gone")
	}
	if got := again.Buckets(); !slices.Equal(got, []string{"lake", "second"}) {
		t.Errorf("buckets: %v", got)
	}
	if again.Bytes() != int64(len("one"+"two"+"three"+"replaced by hand")) || len(again.Uploads("lake")) != 0 {
		t.Errorf("%d bytes", again.Bytes())
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	for want, build := range map[string]func(*testing.T, string){
		"notes.txt is not a bucket": func(t *testing.T, dir string) {
			must(t, 0, os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o666))
		},
		"Config.MaxBytes = 100": func(t *testing.T, dir string) {
			must(t, 0, os.MkdirAll(filepath.Join(dir, "lake"), 0o777))
			must(t, 0, os.WriteFile(filepath.Join(dir, "lake", "big"), make([]byte, 101), 0o666))
		},
	} {
		dir := t.TempDir()
		build(t, dir)
		srv := lakeServer(func(c *s3test.Config) { c.Dir, c.Keep, c.MaxBytes = dir, true, 100 })
		if n, err := srv.Load(); err == nil || !strings.Contains(err.Error(), want) || n != 0 {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	none := lakeServer(func(c *s3test.Config) { c.Dir, c.Keep = filepath.Join(t.TempDir(), "none"), true })
	if n, err := none.Load(); n != 0 || err != nil {
		t.Error("no folder yet:", n, err)
	}
	dir := t.TempDir()
	if n, err := lakeServer(func(c *s3test.Config) { c.Dir = dir }).Load(); n != 0 || err != nil {
		t.Error("without Keep:", n, err)
	}
	if got := files(t, dir); !slices.Equal(got, nil) {
		t.Error(got)
	}
}
