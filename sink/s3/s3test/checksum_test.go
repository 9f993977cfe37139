package s3test_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/shardlake/shardlake/sink/s3/s3test"
)

func plainHTTP(o *s3.Options) { o.BaseEndpoint = aws.String("http://s3.test") }

// sha256 of nothing, of "hello" and of "world", for raw requests.
const helloSHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

// Every algorithm that the SDK computes, as a trailer (https) and as a header
// (http), for objects and for uploads, is verified and given back; the SDK
// verifies what it reads.
func TestChecksumsOfTheSDK(t *testing.T) {
	for _, algo := range []types.ChecksumAlgorithm{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		for scheme, change := range map[string]func(*s3.Options){"trailer": func(*s3.Options) {}, "header": plainHTTP} {
			t.Run(fmt.Sprintf("%s %s", algo, scheme), func(t *testing.T) {
				srv := lakeServer(func(c *s3test.Config) { c.RequireChecksums, c.StrictChecksums = true, true })
				trailers := srv.Fault(s3test.Fault{Times: -1, Match: func(c *s3test.Call) bool {
					return c.Header.Get("X-Amz-Trailer") != ""
				}})
				client := newClient(srv.Client(), change)
				_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
					Bucket: aws.String("lake"), Key: aws.String("put"), Body: strings.NewReader("hello"), ChecksumAlgorithm: algo,
				})
				must(t, 0, err)
				id := create(t, client, "mpu", func(in *s3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = algo })
				var parts []types.CompletedPart
				for n, body := range []string{"hello", "world"} {
					out, err := client.UploadPart(t.Context(), &s3.UploadPartInput{
						Bucket: aws.String("lake"), Key: aws.String("mpu"), UploadId: &id, PartNumber: aws.Int32(int32(n + 1)),
						Body: strings.NewReader(body), ChecksumAlgorithm: algo,
					})
					must(t, out, err)
					parts = append(parts, types.CompletedPart{
						PartNumber: aws.Int32(int32(n + 1)), ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC32C: out.ChecksumCRC32C,
						ChecksumCRC64NVME: out.ChecksumCRC64NVME, ChecksumSHA1: out.ChecksumSHA1, ChecksumSHA256: out.ChecksumSHA256,
					})
				}
				done, err := complete(t, client, "mpu", id, parts...)
				must(t, done, err)
				wantType := types.ChecksumTypeComposite
				if algo == "CRC64NVME" {
					wantType = types.ChecksumTypeFullObject
				}
				if done.ChecksumType != wantType {
					t.Errorf("type %s", done.ChecksumType)
				}
				for _, key := range []string{"put", "mpu"} {
					head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{
						Bucket: aws.String("lake"), Key: &key, ChecksumMode: types.ChecksumModeEnabled,
					})
					must(t, head, err)
					if head.ChecksumType == "" {
						t.Errorf("%s has no checksum", key)
					}
				}
				if get(t, client, "put")+get(t, client, "mpu") != "hellohelloworld" {
					t.Error("wrong bytes")
				}
				if want := map[string]int{"trailer": 3, "header": 0}[scheme]; trailers.Seen() != want {
					t.Errorf("%d requests had trailers, want %d", trailers.Seen(), want)
				}
			})
		}
	}
}

func TestWrongChecksumsAreRefused(t *testing.T) {
	srv := lakeServer()
	client := newClient(srv.Client(), plainHTTP)
	lake, key := aws.String("lake"), aws.String("k")
	write := func(change func(*s3.PutObjectInput)) error {
		in := &s3.PutObjectInput{Bucket: lake, Key: key, Body: strings.NewReader("hello")}
		change(in)
		_, err := client.PutObject(t.Context(), in)
		return err
	}
	wantCode(t, write(func(in *s3.PutObjectInput) { in.ChecksumCRC32 = aws.String("AAAAAA==") }), "BadDigest")
	wantCode(t, write(func(in *s3.PutObjectInput) { in.ChecksumCRC32 = aws.String("?") }), "InvalidRequest")
	wantCode(t, write(func(in *s3.PutObjectInput) { in.ContentMD5 = aws.String("AAAAAAAAAAAAAAAAAAAAAA==") }), "BadDigest")
	wantCode(t, write(func(in *s3.PutObjectInput) { in.ContentMD5 = aws.String("?") }), "InvalidDigest")
	must(t, 0, write(func(in *s3.PutObjectInput) { in.ContentMD5 = aws.String("XUFAKrxLKna5cZ2REBfFkg==") }))
	if srv.Bytes() != 5 {
		t.Errorf("%d bytes: refused bodies must not stay", srv.Bytes())
	}
}

// Case: a client whose every part carries a checksum although none was declared
// works with lenient stores and fails with strict ones.
func TestUndeclaredChecksums(t *testing.T) {
	quiet := func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired }
	for _, strict := range []bool{false, true} {
		srv := lakeServer(func(c *s3test.Config) { c.StrictChecksums = strict })
		client := newClient(srv.Client(), quiet) // declares nothing
		id := create(t, client, "k")
		_, err := client.UploadPart(t.Context(), &s3.UploadPartInput{
			Bucket: aws.String("lake"), Key: aws.String("k"), UploadId: &id, PartNumber: aws.Int32(1),
			Body: strings.NewReader("hello"), ChecksumCRC32: aws.String("NhCmhg=="),
		})
		if strict {
			wantCode(t, err, "InvalidRequest")
		} else {
			must(t, 0, err)
		}
		part(t, client, "k", id, 2, "without")
		declared := create(t, client, "k", func(in *s3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = "SHA256" })
		_, err = client.UploadPart(t.Context(), &s3.UploadPartInput{
			Bucket: aws.String("lake"), Key: aws.String("k"), UploadId: &declared, PartNumber: aws.Int32(1), Body: strings.NewReader("hello"),
		})
		wantCode(t, err, "InvalidRequest") // expected sha256, actual null
	}
}

func TestCompleteVerifiesTheWhole(t *testing.T) {
	client := newClient(lakeServer().Client())
	id := create(t, client, "k", func(in *s3.CreateMultipartUploadInput) {
		in.ChecksumAlgorithm, in.ChecksumType = "CRC32", types.ChecksumTypeFullObject
	})
	parts := []types.CompletedPart{part(t, client, "k", id, 1, "hel"), part(t, client, "k", id, 2, "lo")}
	in := &s3.CompleteMultipartUploadInput{
		Bucket: aws.String("lake"), Key: aws.String("k"), UploadId: &id, ChecksumCRC32: aws.String("AAAAAA=="),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}
	_, err := client.CompleteMultipartUpload(t.Context(), in)
	wantCode(t, err, "BadDigest")
	in.ChecksumType = types.ChecksumTypeComposite
	_, err = client.CompleteMultipartUpload(t.Context(), in)
	wantCode(t, err, "InvalidRequest")
	in.ChecksumType, in.ChecksumCRC32 = types.ChecksumTypeFullObject, aws.String("NhCmhg==")
	out, err := client.CompleteMultipartUpload(t.Context(), in)
	if must(t, out, err); *out.ChecksumCRC32 != "NhCmhg==" || out.ChecksumType != types.ChecksumTypeFullObject {
		t.Errorf("%+v", out)
	}

	id = create(t, client, "k", func(in *s3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = "CRC32" })
	p := part(t, client, "k", id, 1, "hello")
	p.ChecksumCRC32 = nil
	_, err = complete(t, client, "k", id, p)
	wantCode(t, err, "InvalidRequest") // the request must include the checksum for each part
	p.ChecksumCRC32 = aws.String("AAAAAA==")
	_, err = complete(t, client, "k", id, p)
	wantCode(t, err, "InvalidPart")
	for _, bad := range []*s3.CreateMultipartUploadInput{
		{ChecksumAlgorithm: "SHA256", ChecksumType: types.ChecksumTypeFullObject},
		{ChecksumAlgorithm: "CRC64NVME", ChecksumType: types.ChecksumTypeComposite},
	} {
		bad.Bucket, bad.Key = aws.String("lake"), aws.String("k")
		_, err := client.CreateMultipartUpload(t.Context(), bad)
		wantCode(t, err, "InvalidRequest")
	}
}

// Case C1: stores that know no trailers answer 501, and the SDK's WhenRequired
// or a checksum given in the request avoids them.
func TestNoTrailers(t *testing.T) {
	srv := lakeServer(func(c *s3test.Config) { c.NoTrailers = true })
	_, err := newClient(srv.Client()).PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("lake"), Key: aws.String("k"), Body: strings.NewReader("hello"),
	})
	wantCode(t, err, "NotImplemented")
	client := newClient(srv.Client(), func(o *s3.Options) {
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	})
	put(t, client, "small", "hello")
	put(t, client, "large", strings.Repeat("x", 20<<20))
	id := create(t, client, "k")
	p := part(t, client, "k", id, 1, "hello")
	_, err = complete(t, client, "k", id, p)
	must(t, 0, err)
	_, err = newClient(srv.Client()).PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("lake"), Key: aws.String("k"), Body: strings.NewReader("hello"), ChecksumCRC32: aws.String("NhCmhg=="),
	})
	must(t, 0, err)
}

func TestRequireChecksums(t *testing.T) {
	srv := lakeServer(func(c *s3test.Config) { c.RequireChecksums = true })
	bare := newClient(srv.Client(), func(o *s3.Options) {
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	})
	_, err := bare.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("lake"), Key: aws.String("k"), Body: strings.NewReader("x"),
	})
	wantCode(t, err, "InvalidRequest")
	id := create(t, bare, "k")
	_, err = bare.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: aws.String("lake"), Key: aws.String("k"), UploadId: &id, PartNumber: aws.Int32(1), Body: strings.NewReader("x"),
	})
	wantCode(t, err, "InvalidRequest")
	put(t, newClient(srv.Client()), "k", "x")
}

// raw sends a PutObject with the given framing and returns status and code.
func raw(t *testing.T, srv *s3test.Server, body string, header map[string]string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://s3.test/lake/raw", bytes.NewReader([]byte(body)))
	must(t, req, err)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AK/20300101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := srv.Client().Do(req)
	must(t, resp, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, text, err)
	_, code, _ := strings.Cut(string(text), "<Code>")
	code, _, _ = strings.Cut(code, "</Code>")
	return resp.StatusCode, code
}

func TestChunkedFraming(t *testing.T) {
	const signed, signedTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	const unsigned = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	sig := ";chunk-signature=" + strings.Repeat("0", 64)
	good := "3" + sig + "\r\nhel\r\n2" + sig + "\r\nlo\r\n0" + sig + "\r\n"
	crc := "x-amz-checksum-crc32:"
	for _, c := range []struct {
		name, payload, body, length, trailer, code string
	}{
		{"signed", signed, good + "\r\n", "5", "", ""},
		{"signed with trailer", signedTrailer, good + crc + "NhCmhg==\r\nx-amz-trailer-signature:00\r\n\r\n", "5", "x-amz-checksum-crc32", ""},
		{"signed with trailer, no signature", signedTrailer, good + crc + "NhCmhg==\r\n\r\n", "5", "x-amz-checksum-crc32", "MalformedTrailerError"},
		{"unsigned", unsigned, "5\r\nhello\r\n0\r\n" + crc + "NhCmhg==\r\n\r\n", "5", "x-amz-checksum-crc32", ""},
		{"wrong trailer", unsigned, "5\r\nhello\r\n0\r\n" + crc + "AAAAAA==\r\n\r\n", "5", "x-amz-checksum-crc32", "BadDigest"},
		{"trailer missing", unsigned, "5\r\nhello\r\n0\r\n\r\n", "5", "x-amz-checksum-crc32", "MalformedTrailerError"},
		{"trailer no field", unsigned, "5\r\nhello\r\n0\r\nnonsense\r\n\r\n", "5", "", "MalformedTrailerError"},
		{"too short", unsigned, "4\r\nhell\r\n0\r\n\r\n", "5", "", "IncompleteBody"},
		{"too long", unsigned, "6\r\nhello!\r\n0\r\n\r\n", "5", "", "IncompleteBody"},
		{"no end", unsigned, "5\r\nhello\r\n", "5", "", "IncompleteBody"},
		{"no length", unsigned, "5\r\nhello\r\n0\r\n\r\n", "", "", "MissingContentLength"},
		{"no hex", unsigned, "x\r\nhello\r\n0\r\n\r\n", "5", "", "InvalidRequest"},
		{"no chunk signature", signed, "5\r\nhello\r\n0\r\n\r\n", "5", "", "InvalidRequest"},
		{"no CRLF", unsigned, "4\r\nhello\r\n0\r\n\r\n", "5", "", "InvalidRequest"},
		{"plain with sha256", helloSHA256, "hello", "", "", ""},
		{"plain with wrong sha256", helloSHA256, "hullo", "", "", "XAmzContentSHA256Mismatch"},
		{"unknown payload", "nonsense", "hello", "", "", "InvalidArgument"},
		{"no sha256", "", "hello", "", "", "InvalidRequest"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := lakeServer()
			header := map[string]string{"X-Amz-Content-Sha256": c.payload}
			if c.length != "" {
				header["X-Amz-Decoded-Content-Length"] = c.length
			}
			if c.trailer != "" {
				header["X-Amz-Trailer"] = c.trailer
			}
			status, code := raw(t, srv, c.body, header)
			if code != c.code || (code == "") != (status == 200) {
				t.Fatalf("%d %s, want %q", status, code, c.code)
			}
			if body := string(srv.Objects("lake", "")["raw"].Body); code == "" && body != "hello" {
				t.Errorf("stored %q", body)
			}
			if code != "" && srv.Bytes() != 0 {
				t.Errorf("%d bytes are left", srv.Bytes())
			}
		})
	}
}
