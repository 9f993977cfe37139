package s3_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/s3"
)

// TestCheckNamesAllMistakes at once.
func TestCheckNamesAllMistakes(t *testing.T) {
	s := s3.Bucket(s3.Config{
		Bucket: "s3://lake/raw", Endpoint: "http://minio.example:9000", PartSize: 1 << 20, Checksums: 7, ExpectedBucketOwner: "me", SSE: "AES256", KMSKey: "k", RetryFor: -time.Second,
	})
	err := s.Check()
	if !errors.Is(err, sink.ErrRefused) {
		t.Fatalf("Check: %v", err)
	}
	for _, want := range []string{"Bucket", "Endpoint", "AllowHTTP", "PartSize", "Checksums", "ExpectedBucketOwner", "KMSKey", "RetryFor"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Check does not tell of %s: %v", want, err)
		}
	}
	for call, do := range calls {
		if err := do(t.Context(), s); !errors.Is(err, sink.ErrRefused) {
			t.Errorf("%s of a wrong configuration: %v", call, err)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		cfg  s3.Config
		fine bool
	}{
		{s3.Config{Bucket: "lake"}, true},
		{s3.Config{}, false},
		{s3.Config{Bucket: "Lake"}, false},
		{s3.Config{Bucket: "Lake_1", Endpoint: "https://minio.example"}, true},
		{s3.Config{Bucket: "arn:aws:s3:eu-west-1:123456789012:accesspoint/lake"}, true},
		{s3.Config{Bucket: "lake", Endpoint: "http://127.0.0.1:9000"}, true},
		{s3.Config{Bucket: "lake", Endpoint: "http://localhost:9000"}, true},
		{s3.Config{Bucket: "lake", Endpoint: "http://[::1]:9000"}, true},
		{s3.Config{Bucket: "lake", Endpoint: "http://10.0.0.1:9000"}, false},
		{s3.Config{Bucket: "lake", Endpoint: "http://10.0.0.1:9000", AllowHTTP: true}, true},
		{s3.Config{Bucket: "lake", Endpoint: "minio:9000"}, false},
		{s3.Config{Bucket: "lake", Endpoint: "https://user:secret@minio.example"}, false},
		{s3.Config{Bucket: "lake", SSE: "rot13"}, false},
	} {
		if err := s3.Bucket(c.cfg).Check(); (err == nil) != c.fine {
			t.Errorf("%+v: %v", c.cfg, err)
		} else if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("a password is shown: %v", err)
		}
	}
}

// TestLocation sees that a location is stable, tells where the keys live, and leads
// back to the same place.
func TestLocation(t *testing.T) {
	for _, c := range []struct {
		cfg  s3.Config
		want string
	}{
		{s3.Config{Bucket: "lake"}, "s3://lake"},
		{s3.Config{Bucket: "lake", Region: "eu-west-1"}, "s3://lake?region=eu-west-1"},
		{s3.Config{Bucket: "lake", Endpoint: "https://h:9", Region: "r", ExpectedBucketOwner: "123456789012"}, "s3://lake?endpoint=https%3A%2F%2Fh%3A9&owner=123456789012&region=r"},
		{s3.Config{Bucket: "arn:aws:s3:eu-west-1:123456789012:accesspoint/lake"}, "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/lake"},
	} {
		s := s3.Bucket(c.cfg)
		if got := s.Location(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
		back, err := s3.Bucket(s3.Config{Bucket: "another", Region: "r2", PartSize: 6 << 20}).At(s.Location())
		if err != nil {
			t.Fatal(err)
		}
		if back.Location() != c.want || back.PartSize() != 6<<20 {
			t.Errorf("At(%s) is at %s", c.want, back.Location())
		}
	}
	for _, bad := range []string{"", "s3://", "/lake", "s3://lake?region=%zz", "s3://lake?endpoint=http%3A%2F%2Fevil.example"} {
		if _, err := s3.Bucket(s3.Config{Bucket: "lake"}).At(bad); !errors.Is(err, sink.ErrRefused) {
			t.Errorf("At(%q): %v", bad, err)
		}
	}
}
