package s3_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/s3"
)

// TestRefusals sees that what no repetition helps is not repeated, and that the
// error names the call, the bucket and what to change.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		call   string
		answer *http.Response
		kind   error
		text   []string
	}{
		{"Create", failure(403, "AccessDenied"), sink.ErrRefused, []string{"CreateMultipartUpload", "lake", "s3:PutObject", "arn:aws:s3:::lake"}},
		{"PutPart", failure(403, "AccessDenied"), sink.ErrRefused, []string{"UploadPart", "s3:PutObject"}},
		{"Complete", failure(403, "AccessDenied"), sink.ErrRefused, []string{"CompleteMultipartUpload", "s3:PutObject"}},
		{"Abort", failure(403, "AccessDenied"), sink.ErrRefused, []string{"AbortMultipartUpload", "s3:AbortMultipartUpload"}},
		{"Parts", failure(403, "AccessDenied"), sink.ErrRefused, []string{"ListParts", "s3:ListMultipartUploadParts"}},
		{"Uploads", failure(403, "AccessDenied"), sink.ErrRefused, []string{"ListMultipartUploads", "s3:ListBucketMultipartUploads"}},
		{"Head", reply(403, ""), sink.ErrRefused, []string{"HeadObject", "s3:GetObject", "s3:ListBucket"}},
		{"Create", failure(404, "NoSuchBucket"), sink.ErrRefused, []string{"lake", "create the bucket"}},
		{"Create", failure(403, "InvalidAccessKeyId"), sink.ErrRefused, []string{"credentials"}},
		{"PutPart", failure(403, "SignatureDoesNotMatch"), sink.ErrRefused, []string{"credentials"}},
		{"PutPart", failure(501, "NotImplemented"), sink.ErrRefused, []string{"ChecksumWhenRequired"}},
		{"Create", failure(400, "KMS.DisabledException"), sink.ErrRefused, []string{"KMS key"}},
		{"Create", failure(400, "InvalidStorageClass"), sink.ErrRefused, []string{"InvalidStorageClass"}},
		{"PutPart", failure(404, "NoSuchUpload"), sink.ErrNoUpload, []string{"raw/x"}},
		{"Complete", failure(404, "NoSuchUpload"), sink.ErrNoUpload, []string{"raw/x"}},
		{"Complete", reply(200, "<Error><Code>AccessDenied</Code></Error>"), sink.ErrRefused, []string{"s3:PutObject"}},
		{"Parts", failure(404, "NoSuchUpload"), sink.ErrNoUpload, nil},
		{"Head", reply(404, ""), sink.ErrNoObject, []string{"raw/x"}},
	} {
		t.Run(c.call+" "+strings.Join(c.text, " "), func(t *testing.T) {
			s, svc := with(t, s3.Config{}, func(int, *http.Request, string) *http.Response { return c.answer })
			err := calls[c.call](t.Context(), s)
			if !errors.Is(err, c.kind) {
				t.Fatalf("error %v, want %v", err, c.kind)
			}
			if svc.count() != 1 {
				t.Errorf("%d requests", svc.count())
			}
			for _, text := range c.text {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("error %q does not tell %q", err, text)
				}
			}
		})
	}
}

// TestAbortOfNothing is no error.
func TestAbortOfNothing(t *testing.T) {
	s, _ := with(t, s3.Config{}, func(int, *http.Request, string) *http.Response { return failure(404, "NoSuchUpload") })
	if err := s.Abort(t.Context(), "raw/x", "u"); err != nil {
		t.Error(err)
	}
}

// TestRegion sees that a store without a region goes where the service says the
// bucket is, and that one with another region names the right one.
func TestRegion(t *testing.T) {
	for call, do := range calls {
		t.Run(call, func(t *testing.T) {
			answer := func(n int, r *http.Request, body string) *http.Response {
				if strings.Contains(r.URL.Host, "eu-west-1") {
					return fine(n, r, body)
				}
				a := failure(301, "PermanentRedirect")
				a.Header.Set("x-amz-bucket-region", "eu-west-1")
				return a
			}
			s, svc := with(t, s3.Config{}, answer)
			for range 2 {
				if err := do(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			}
			if svc.count() != 3 {
				t.Errorf("%d requests for two calls, want 3", svc.count())
			}
			s, _ = with(t, s3.Config{Region: "us-east-2"}, answer)
			if err := do(t.Context(), s); !errors.Is(err, sink.ErrRefused) || !strings.Contains(err.Error(), "eu-west-1") {
				t.Errorf("with the wrong region: %v", err)
			}
		})
	}
}

// TestCompleteAnswers sees that status 200 alone is not taken for success: the
// service sends it before it begins.
func TestCompleteAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"an error":        "<?xml version=\"1.0\"?>\n\n<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>",
		"SlowDown":        "<Error><Code>SlowDown</Code></Error>",
		"nothing":         "",
		"blanks":          "   \n  ",
		"half a document": "<CompleteMultipartUploadResult><ETa",
		"another thing":   "<html>",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, svc := with(t, s3.Config{}, func(n int, r *http.Request, b string) *http.Response {
					if n == 1 {
						return reply(200, body)
					}
					return fine(n, r, b)
				})
				if err := calls["Complete"](t.Context(), s); err != nil {
					t.Fatal(err)
				}
				if svc.count() != 2 {
					t.Errorf("%d requests, want 2", svc.count())
				}
			})
		})
	}
}

// TestCompleteByWhatIsStored gives ETags that the service does not know, as after
// a late repetition of UploadPart under SSE-KMS. The parts that are there count,
// if their sizes and checksums are right; and checksums are sent if the upload was
// created with them, whatever this store's configuration is.
func TestCompleteByWhatIsStored(t *testing.T) {
	const list = `<ListPartsResult><IsTruncated>false</IsTruncated>%<Part><PartNumber>1</PartNumber><ETag>"new"</ETag><Size>5</Size><ChecksumCRC32>AAAAAQ==</ChecksumCRC32></Part></ListPartsResult>`
	for _, mode := range []s3.Checksums{s3.ChecksumCRC32, s3.ChecksumWhenRequired} {
		for _, code := range []string{"InvalidPart", "InvalidRequest"} {
			s, _ := with(t, s3.Config{Checksums: mode}, func(n int, r *http.Request, body string) *http.Response {
				switch {
				case r.Method == http.MethodGet:
					return reply(200, strings.Replace(list, "%", "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>", 1))
				case strings.Contains(body, "new") && strings.Contains(body, "<ChecksumCRC32>AAAAAQ==</ChecksumCRC32>"):
					return fine(n, r, body)
				}
				return failure(400, code)
			})
			if err := calls["Complete"](t.Context(), s); err != nil {
				t.Errorf("checksums %v, %s: %v", mode, code, err)
			}
			wrong := []sink.Part{{N: 1, ETag: `"e"`, Size: 5, CRC: 2}}
			if err := s.Complete(t.Context(), "raw/x", "u", wrong); !errors.Is(err, sink.ErrRefused) {
				t.Errorf("Complete with another checksum than that stored: %v, want %v", err, sink.ErrRefused)
			}
		}
	}
}
