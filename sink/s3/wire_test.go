package s3_test

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/s3"
)

// TestChecksumHeaders sees what really goes over the wire in each mode, for small
// and large parts, with and without TLS: checksums in a header or none at all, and
// never a chunked body with a trailer.
func TestChecksumHeaders(t *testing.T) {
	for _, endpoint := range []string{"", "https://store.example:9000", "http://127.0.0.1:9000"} {
		for _, mode := range []s3.Checksums{s3.ChecksumCRC32, s3.ChecksumWhenRequired} {
			for _, size := range []int{0, 1 << 10, 6 << 20} {
				s, svc := with(t, s3.Config{Endpoint: endpoint, Checksums: mode}, fine)
				id, err := s.Create(t.Context(), "raw/x", nil)
				if err != nil {
					t.Fatal(err)
				}
				declared := svc.last().Header.Get("x-amz-checksum-algorithm")
				part, err := s.PutPart(t.Context(), "raw/x", id, 1, sink.NewChunks(make([]byte, size)))
				if err != nil {
					t.Fatal(err)
				}
				r := svc.last()
				if r.ContentLength != int64(size) {
					t.Errorf("Content-Length %d, want %d", r.ContentLength, size)
				}
				if sha := r.Header.Get("x-amz-content-sha256"); strings.HasPrefix(sha, "STREAMING") || r.Header.Get("Content-Encoding") != "" || r.Header.Get("x-amz-trailer") != "" {
					t.Errorf("chunked: %v", r.Header)
				} else if unsigned := sha == "UNSIGNED-PAYLOAD"; unsigned == strings.HasPrefix(endpoint, "http:") {
					t.Errorf("endpoint %q, checksums %v: x-amz-content-sha256 is %q", endpoint, mode, sha)
				}
				var sums []string
				for k := range r.Header {
					if k = strings.ToLower(k); strings.HasPrefix(k, "x-amz-checksum") || strings.HasPrefix(k, "x-amz-sdk-checksum") {
						sums = append(sums, k)
					}
				}
				if mode == s3.ChecksumWhenRequired && (len(sums) != 0 || declared != "") {
					t.Errorf("checksums %v and algorithm %q were sent", sums, declared)
				}
				if mode == s3.ChecksumCRC32 && (r.Header.Get("x-amz-checksum-crc32") == "" || declared != "CRC32") {
					t.Errorf("no checksum: %v, algorithm %q", r.Header, declared)
				}
				if err := s.Complete(t.Context(), "raw/x", id, []sink.Part{part}); err != nil {
					t.Fatal(err)
				}
				for k := range svc.last().Header {
					if mode == s3.ChecksumWhenRequired && strings.HasPrefix(strings.ToLower(k), "x-amz-checksum") {
						t.Errorf("Complete sends %s", k)
					}
				}
				if svc.last().Header.Get("x-amz-mp-object-size") == "" {
					t.Error("Complete does not send the size")
				}
			}
		}
	}
}

// TestCreateOptions sees that encryption, storage class, metadata and the expected
// owner are sent where the service wants them.
func TestCreateOptions(t *testing.T) {
	s, svc := with(t, s3.Config{KMSKey: "key-1", StorageClass: "INTELLIGENT_TIERING", ExpectedBucketOwner: "123456789012"}, fine)
	if err := calls["Create"](t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{
		"x-amz-server-side-encryption":                "aws:kms",
		"x-amz-server-side-encryption-aws-kms-key-id": "key-1",
		"x-amz-storage-class":                         "INTELLIGENT_TIERING",
		"x-amz-expected-bucket-owner":                 "123456789012",
		"x-amz-meta-sl-commit":                        "1",
	} {
		if got := svc.last().Header.Get(k); got != want {
			t.Errorf("%s is %q, want %q", k, got, want)
		}
	}
	for call, do := range calls {
		if err := do(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if got := svc.last().Header.Get("x-amz-expected-bucket-owner"); got != "123456789012" {
			t.Errorf("%s: expected owner %q", call, got)
		}
	}
}

// reluctant answers before it has read the body, and goes on reading afterwards,
// as a transport may.
type reluctant struct {
	done chan error
}

func (r *reluctant) Do(req *http.Request) (*http.Response, error) {
	one := make([]byte, 1)
	if _, err := io.ReadFull(req.Body, one); err != nil {
		return nil, err
	}
	go func() {
		_, err := io.Copy(io.Discard, req.Body)
		r.done <- err
	}()
	a := reply(200, "", "ETag", `"e"`)
	a.Request = req
	return a, nil
}

// TestBodyIsNotKept changes a part's memory after PutPart has returned, while the
// transport still reads. The race detector tells if the two meet.
func TestBodyIsNotKept(t *testing.T) {
	late := &reluctant{done: make(chan error, 1)}
	s := s3.Bucket(s3.Config{Bucket: "lake", AWS: noFiles, HTTPClient: late, Credentials: &rotating{}})
	b := make([]byte, 8<<20)
	if _, err := s.PutPart(t.Context(), "raw/x", "u", 1, sink.NewChunks(b)); err != nil {
		t.Fatal(err)
	}
	clear(b)
	if err := <-late.done; err != nil {
		t.Log("the transport was told that the body is gone:", err)
	}
}

// TestPartsAreNotCopied sees that a part is sent from the memory it lies in.
func TestPartsAreNotCopied(t *testing.T) {
	s := s3.Bucket(s3.Config{Bucket: "lake", AWS: noFiles, Credentials: &rotating{}, HTTPClient: drain{}})
	body := sink.NewChunks(make([]byte, 8<<20))
	put := func() {
		if _, err := s.PutPart(t.Context(), "raw/x", "u", 1, body); err != nil {
			t.Fatal(err)
		}
	}
	put() // makes the client
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	put()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes allocated to send a part of 8 MiB", n)
	}
}

// drain takes every request.
type drain struct{}

func (drain) Do(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	a := reply(200, "", "ETag", `"e"`)
	a.Request = r
	return a, nil
}

// brokenBody fails while it is read.
type brokenBody struct{ *sink.Chunks }

var errBroken = errors.New("the scratch file is gone")

func (brokenBody) Read([]byte) (int, error) { return 0, errBroken }

// TestBrokenBody sees that an error of the body is not taken for one of the
// network.
func TestBrokenBody(t *testing.T) {
	for _, size := range []int{100, 6 << 20} {
		s, svc := with(t, s3.Config{}, fine)
		_, err := s.PutPart(t.Context(), "raw/x", "u", 1, brokenBody{sink.NewChunks(make([]byte, size))})
		if !errors.Is(err, errBroken) || svc.count() > 1 {
			t.Errorf("error %v after %d requests", err, svc.count())
		}
	}
}
