package s3test_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/shardlake/shardlake/sink/s3/s3test"
)

func TestUploadAppearsWholeOnComplete(t *testing.T) {
	begun := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	now := begun
	var srv *s3test.Server
	var seen []string
	srv = lakeServer(func(c *s3test.Config) {
		c.Now = func() time.Time { return now }
		c.OnVisible = func(bucket, key string) {
			seen = append(seen, fmt.Sprintf("%s/%s %d", bucket, key, srv.Objects(bucket, key)[key].Size))
		}
	})
	client := newClient(srv.Client())
	id := create(t, client, "f.parquet", func(in *s3.CreateMultipartUploadInput) {
		in.Metadata = map[string]string{"sl-commit": "c1"}
		in.ContentType = aws.String("application/vnd.apache.parquet")
	})
	p2 := part(t, client, "f.parquet", id, 2, "world")
	part(t, client, "f.parquet", id, 1, "old text ")
	p1 := part(t, client, "f.parquet", id, 1, "hello ")
	part(t, client, "f.parquet", id, 3, "not listed")
	now = now.Add(time.Hour)
	if len(srv.Objects("lake", "")) != 0 || len(seen) != 0 {
		t.Fatal("visible before Complete")
	}
	if u := srv.Uploads("lake"); len(u) != 1 || u[0].Key != "f.parquet" || len(u[0].Parts) != 3 || string(u[0].Parts[0].Body) != "hello " {
		t.Fatalf("uploads %+v", u)
	}
	out, err := complete(t, client, "f.parquet", id, p1, p2)
	must(t, out, err)
	o := srv.Objects("lake", "")["f.parquet"]
	if string(o.Body) != "hello world" || o.ETag != *out.ETag || !strings.HasSuffix(o.ETag, `-2"`) || o.Parts != 2 ||
		o.Metadata["sl-commit"] != "c1" || o.Header.Get("Content-Type") != "application/vnd.apache.parquet" {
		t.Errorf("object %+v", o)
	}
	if !o.Modified.Equal(begun) {
		t.Errorf("modified %v: S3 gives an upload the time at which it was begun", o.Modified)
	}
	if len(srv.Uploads("lake")) != 0 || srv.Bytes() != 11 {
		t.Errorf("uploads %v, %d bytes", srv.Uploads("lake"), srv.Bytes())
	}
	if len(seen) != 1 || seen[0] != "lake/f.parquet 11" {
		t.Errorf("OnVisible: %v", seen)
	}
	if got := get(t, client, "f.parquet"); got != "hello world" {
		t.Errorf("got %q", got)
	}
	_, err = client.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: aws.String("lake"), Key: aws.String("f.parquet"), UploadId: &id, PartNumber: aws.Int32(1), Body: strings.NewReader("late"),
	})
	wantCode(t, err, "NoSuchUpload")
}

func TestRepeatedComplete(t *testing.T) {
	for _, c := range []struct {
		repeat s3test.RepeatComplete
		code   string
	}{{s3test.RepeatSame, ""}, {s3test.RepeatNoSuchUpload, "NoSuchUpload"}} {
		srv := lakeServer(func(cfg *s3test.Config) { cfg.RepeatComplete = c.repeat })
		client := newClient(srv.Client())
		id := create(t, client, "k")
		p := part(t, client, "k", id, 1, "one")
		first, err := complete(t, client, "k", id, p)
		must(t, first, err)
		put(t, client, "k", "another") // must not be undone
		again, err := complete(t, client, "k", id, p)
		if c.code != "" {
			wantCode(t, err, c.code)
		} else if must(t, again, err); *again.ETag != *first.ETag {
			t.Errorf("ETag %s, then %s", *first.ETag, *again.ETag)
		}
		if got := get(t, client, "k"); got != "another" {
			t.Errorf("a repeated Complete changed the object: %q", got)
		}
		p.ETag = aws.String("00")
		_, err = complete(t, client, "k", id, p)
		wantCode(t, err, "NoSuchUpload")
	}
}

func TestCompleteRefusesWhatS3Refuses(t *testing.T) {
	srv := s3test.New(s3test.Config{Buckets: []string{"lake"}})
	client := newClient(srv.Client())
	id := create(t, client, "k")
	small := part(t, client, "k", id, 1, "small")
	large := part(t, client, "k", id, 2, strings.Repeat("x", 5<<20))
	last := part(t, client, "k", id, 3, "last")
	try := func(code string, change func(*s3.CompleteMultipartUploadInput), parts ...types.CompletedPart) {
		t.Helper()
		in := &s3.CompleteMultipartUploadInput{
			Bucket: aws.String("lake"), Key: aws.String("k"), UploadId: &id,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		}
		if change != nil {
			change(in)
		}
		_, err := client.CompleteMultipartUpload(t.Context(), in)
		wantCode(t, err, code)
		if len(srv.Uploads("lake")) != 1 || len(srv.Objects("lake", "none")) != 0 {
			t.Fatalf("%s had an effect", code)
		}
	}
	wrong := large
	wrong.ETag = aws.String("beef")
	missing := large
	missing.PartNumber = aws.Int32(9)
	try("EntityTooSmall", nil, small, large)
	try("InvalidPart", nil, wrong, last)
	try("InvalidPart", nil, large, missing)
	try("InvalidPartOrder", nil, last, large)
	try("MalformedXML", nil)
	try("InvalidRequest", func(in *s3.CompleteMultipartUploadInput) { in.MpuObjectSize = aws.Int64(5) }, large, last)
	try("NoSuchUpload", func(in *s3.CompleteMultipartUploadInput) { in.UploadId = aws.String("unknown") }, large)
	try("NoSuchUpload", func(in *s3.CompleteMultipartUploadInput) { in.Key = aws.String("other") }, large)
	put(t, client, "k", "there")
	try("PreconditionFailed", func(in *s3.CompleteMultipartUploadInput) { in.IfNoneMatch = aws.String("*") }, large, last)
	try("PreconditionFailed", func(in *s3.CompleteMultipartUploadInput) { in.IfMatch = aws.String(`"x"`) }, large, last)

	out, err := client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: aws.String("lake"), Key: aws.String("k"), UploadId: &id, MpuObjectSize: aws.Int64(5<<20 + 4),
		IfMatch:         aws.String(srv.Objects("lake", "")["k"].ETag),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{large, last}},
	})
	must(t, out, err)
	if n := srv.Objects("lake", "")["k"].Size; n != 5<<20+4 || srv.Bytes() != n {
		t.Errorf("%d bytes visible, %d held", n, srv.Bytes())
	}
	_, err = client.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: aws.String("lake"), Key: aws.String("k"), UploadId: &id, PartNumber: aws.Int32(10_001), Body: strings.NewReader("x"),
	})
	wantCode(t, err, "InvalidArgument")
}

func TestAbort(t *testing.T) {
	srv := lakeServer()
	client := newClient(srv.Client())
	id := create(t, client, "k")
	part(t, client, "k", id, 1, "x")
	abort := func() error {
		_, err := client.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{
			Bucket: aws.String("lake"), Key: aws.String("k"), UploadId: &id,
		})
		return err
	}
	must(t, 0, abort())
	wantCode(t, abort(), "NoSuchUpload")
	if srv.Bytes() != 0 || len(srv.Uploads("lake")) != 0 {
		t.Errorf("%d bytes, uploads %v", srv.Bytes(), srv.Uploads("lake"))
	}
}

func TestListMultipartUploads(t *testing.T) {
	srv := lakeServer()
	client := newClient(srv.Client())
	var want []string
	for _, key := range []string{"a/1", "a/2", "b"} {
		for range 3 {
			want = append(want, key+" "+create(t, client, key))
		}
	}
	for page := int32(1); page < 11; page++ {
		for _, prefix := range []string{"", "a/"} {
			var got []string
			pages := s3.NewListMultipartUploadsPaginator(client, &s3.ListMultipartUploadsInput{
				Bucket: aws.String("lake"), Prefix: &prefix, MaxUploads: &page,
			})
			for pages.HasMorePages() {
				out, err := pages.NextPage(t.Context())
				must(t, out, err)
				for _, u := range out.Uploads {
					got = append(got, *u.Key+" "+*u.UploadId)
				}
			}
			if n := map[string]int{"": 9, "a/": 6}[prefix]; fmt.Sprint(got) != fmt.Sprint(want[:n]) {
				t.Errorf("prefix %q page %d: %v", prefix, page, got)
			}
		}
	}
	out, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{
		Bucket: aws.String("lake"), KeyMarker: aws.String("a/1"), Delimiter: aws.String("/"),
	})
	must(t, out, err)
	if len(out.Uploads) != 3 || *out.Uploads[0].Key != "b" {
		t.Errorf("after a/1: %+v", out)
	}
	out, err = client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String("lake"), Delimiter: aws.String("/")})
	must(t, out, err)
	if len(out.Uploads) != 3 || len(out.CommonPrefixes) != 1 || *out.CommonPrefixes[0].Prefix != "a/" {
		t.Errorf("grouped: %+v", out)
	}
}

func TestListParts(t *testing.T) {
	client := newClient(lakeServer().Client())
	id := create(t, client, "k", func(in *s3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32 })
	want := ""
	for n := int32(1); n <= 5; n++ {
		p := part(t, client, "k", id, n*2, strings.Repeat("x", int(n)))
		want += fmt.Sprintln(n*2, *p.ETag, n, *p.ChecksumCRC32)
	}
	for page := int32(1); page < 7; page++ {
		got := ""
		pages := s3.NewListPartsPaginator(client, &s3.ListPartsInput{
			Bucket: aws.String("lake"), Key: aws.String("k"), UploadId: &id, MaxParts: &page,
		})
		for pages.HasMorePages() {
			out, err := pages.NextPage(t.Context())
			must(t, out, err)
			for _, p := range out.Parts {
				got += fmt.Sprintln(*p.PartNumber, *p.ETag, *p.Size, *p.ChecksumCRC32)
			}
		}
		if got != want {
			t.Errorf("page %d:\n%s\nwant\n%s", page, got, want)
		}
	}
	_, err := client.ListParts(t.Context(), &s3.ListPartsInput{Bucket: aws.String("lake"), Key: aws.String("k"), UploadId: aws.String("x")})
	wantCode(t, err, "NoSuchUpload")
}

// Parts that arrive while an upload is completed are in it or refused, and the
// memory adds up whatever the order.
func TestCompleteRaces(t *testing.T) {
	srv := lakeServer()
	client := newClient(srv.Client())
	id := create(t, client, "k")
	p1 := part(t, client, "k", id, 1, "a")
	p2 := part(t, client, "k", id, 2, "b")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if i%2 == 0 {
				_, err := complete(t, client, "k", id, p1, p2)
				if err != nil {
					t.Error(err)
				}
				return
			}
			// The same bytes again: the ETag stays. It may come too late.
			_, err := client.UploadPart(t.Context(), &s3.UploadPartInput{
				Bucket: aws.String("lake"), Key: aws.String("k"), UploadId: &id, PartNumber: aws.Int32(2), Body: strings.NewReader("b"),
			})
			if err != nil && !strings.Contains(err.Error(), "NoSuchUpload") {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if o := srv.Objects("lake", "")["k"]; string(o.Body) != "ab" || srv.Bytes() != 2 {
		t.Errorf("%q, %d bytes held", o.Body, srv.Bytes())
	}
}
