package s3test_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/shardlake/shardlake/sink/s3/s3test"
)

func TestBuckets(t *testing.T) {
	srv := s3test.New(s3test.Config{Region: "eu-west-1"})
	client := newClient(srv.Client(), func(o *s3.Options) { o.Region = "eu-west-1" })
	ctx := t.Context()
	lake := aws.String("lake")

	_, err := client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: lake})
	wantCode(t, err, "NotFound")
	_, err = client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: lake, CreateBucketConfiguration: &types.CreateBucketConfiguration{
		LocationConstraint: "eu-west-1",
	}})
	must(t, 0, err)
	_, err = client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: lake})
	wantCode(t, err, "BucketAlreadyOwnedByYou")
	_, err = client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("Not_A_Bucket")})
	wantCode(t, err, "InvalidBucketName")
	head, err := client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: lake})
	if must(t, head, err); *head.BucketRegion != "eu-west-1" {
		t.Errorf("region %s", *head.BucketRegion)
	}
	location, err := client.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: lake})
	if must(t, location, err); location.LocationConstraint != "eu-west-1" {
		t.Errorf("location %q", location.LocationConstraint)
	}
	list, err := client.ListBuckets(ctx, &s3.ListBucketsInput{})
	if must(t, list, err); len(list.Buckets) != 1 || *list.Buckets[0].Name != "lake" {
		t.Errorf("buckets %v", list.Buckets)
	}
	put(t, client, "k", "v")
	_, err = client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: lake})
	wantCode(t, err, "BucketNotEmpty")
	_, err = client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: lake, Key: aws.String("k")})
	must(t, 0, err)
	create(t, client, "unfinished")
	_, err = client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: lake})
	must(t, 0, err)
	if srv.Bytes() != 0 {
		t.Errorf("%d bytes are held by nothing", srv.Bytes())
	}
	_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: lake, Key: aws.String("k")})
	wantCode(t, err, "NoSuchBucket")
}

func TestLifecycleIsStoredAndNotExecuted(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	srv := lakeServer(func(c *s3test.Config) { c.Now = func() time.Time { return now } })
	client := newClient(srv.Client())
	ctx, lake := t.Context(), aws.String("lake")
	_, err := client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: lake})
	wantCode(t, err, "NoSuchLifecycleConfiguration")
	_, err = client.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{
		Bucket: lake, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{{
			ID: aws.String("parts"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")},
			AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(7)},
		}}},
	})
	must(t, 0, err)
	got, err := client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: lake})
	must(t, got, err)
	if len(got.Rules) != 1 || *got.Rules[0].AbortIncompleteMultipartUpload.DaysAfterInitiation != 7 {
		t.Errorf("rules %+v", got.Rules)
	}

	old := create(t, client, "old")
	part(t, client, "old", old, 1, "x")
	now = now.Add(8 * 24 * time.Hour)
	young := create(t, client, "young")
	if n := len(srv.Uploads("lake")); n != 2 {
		t.Fatalf("%d uploads: the rule must not run by itself", n)
	}
	if n := srv.AbortUploads(7 * 24 * time.Hour); n != 1 {
		t.Errorf("aborted %d", n)
	}
	if u := srv.Uploads("lake"); len(u) != 1 || u[0].ID != young || srv.Bytes() != 0 {
		t.Errorf("left: %+v, %d bytes", u, srv.Bytes())
	}
	_, err = client.DeleteBucketLifecycle(ctx, &s3.DeleteBucketLifecycleInput{Bucket: lake})
	must(t, 0, err)
	_, err = client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: lake})
	wantCode(t, err, "NoSuchLifecycleConfiguration")
}

func TestObjectComesBackAsItWasPut(t *testing.T) {
	srv := lakeServer()
	client := newClient(srv.Client())
	ctx := t.Context()
	body := bytes.Repeat([]byte("0123456789"), 1000)
	key := "a b/ü+%?&=/x.parquet"
	out, err := client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String("lake"), Key: &key, Body: bytes.NewReader(body), ContentType: aws.String("application/x"),
		ContentEncoding: aws.String("zstd"), Metadata: map[string]string{"sl-commit": "c1"}, CacheControl: aws.String("no-store"),
	})
	must(t, out, err)
	head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("lake"), Key: &key})
	must(t, head, err)
	if head.Metadata["sl-commit"] != "c1" || *head.ContentLength != int64(len(body)) || *head.ETag != *out.ETag ||
		*head.ContentType != "application/x" || *head.ContentEncoding != "zstd" || *head.CacheControl != "no-store" {
		t.Errorf("head %+v", head)
	}
	if got := get(t, client, key); got != string(body) {
		t.Errorf("%d bytes", len(got))
	}
	for _, c := range []struct{ ask, want, content string }{
		{"bytes=3-6", "3456", "bytes 3-6/10000"},
		{"bytes=-3", "789", "bytes 9997-9999/10000"},
		{"bytes=9995-", "56789", "bytes 9995-9999/10000"},
		{"bytes=9998-20000", "89", "bytes 9998-9999/10000"},
	} {
		out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("lake"), Key: &key, Range: &c.ask})
		must(t, out, err)
		got, err := io.ReadAll(out.Body)
		if must(t, got, err); string(got) != c.want || *out.ContentRange != c.content {
			t.Errorf("%s: %q %s", c.ask, got, *out.ContentRange)
		}
		must(t, 0, out.Body.Close())
	}
	_, err = client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("lake"), Key: &key, Range: aws.String("bytes=10000-")})
	wantCode(t, err, "InvalidRange")
	_, err = client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("lake"), Key: aws.String("none")})
	var notFound *types.NotFound
	if !errors.As(err, &notFound) {
		t.Errorf("head of nothing: %v", err)
	}
	_, err = client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("lake"), Key: aws.String("none")})
	var noKey *types.NoSuchKey
	if !errors.As(err, &noKey) {
		t.Errorf("get of nothing: %v", err)
	}
	object := srv.Objects("lake", "a b/")[key]
	if object.Size != 10000 || !bytes.Equal(object.Body, body) || object.Metadata["sl-commit"] != "c1" {
		t.Errorf("snapshot %+v", object)
	}
}

func TestConditions(t *testing.T) {
	client := newClient(lakeServer().Client())
	ctx, lake, key := t.Context(), aws.String("lake"), aws.String("k")
	write := func(body string, ifMatch, ifNoneMatch *string) error {
		_, err := client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: lake, Key: key, Body: strings.NewReader(body), IfMatch: ifMatch, IfNoneMatch: ifNoneMatch,
		})
		return err
	}
	wantCode(t, write("0", aws.String(`"x"`), nil), "NoSuchKey")
	must(t, 0, write("1", nil, aws.String("*")))
	wantCode(t, write("2", nil, aws.String("*")), "PreconditionFailed")
	head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: lake, Key: key})
	must(t, head, err)
	must(t, 0, write("3", head.ETag, nil))
	wantCode(t, write("4", head.ETag, nil), "PreconditionFailed")
	if got := get(t, client, "k"); got != "3" {
		t.Errorf("visible %q", got)
	}
	_, err = client.GetObject(ctx, &s3.GetObjectInput{Bucket: lake, Key: key, IfMatch: head.ETag})
	wantCode(t, err, "PreconditionFailed")
	current, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: lake, Key: key})
	must(t, current, err)
	_, err = client.GetObject(ctx, &s3.GetObjectInput{Bucket: lake, Key: key, IfNoneMatch: current.ETag})
	if err == nil || !strings.Contains(err.Error(), "StatusCode: 304") {
		t.Errorf("unchanged: %v", err)
	}
	_, err = client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: lake, Key: key, IfMatch: head.ETag})
	wantCode(t, err, "PreconditionFailed")
	_, err = client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: lake, Key: key, IfMatch: current.ETag})
	must(t, 0, err)
}

func TestDeleteObjects(t *testing.T) {
	srv := lakeServer()
	client := newClient(srv.Client())
	for _, key := range []string{"a", "b", "c"} {
		put(t, client, key, "x")
	}
	out, err := client.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: aws.String("lake"), Delete: &types.Delete{
		Objects: []types.ObjectIdentifier{{Key: aws.String("a")}, {Key: aws.String("b")}, {Key: aws.String("not there")}},
	}})
	must(t, out, err)
	if len(out.Deleted) != 3 || len(out.Errors) != 0 {
		t.Errorf("%+v", out)
	}
	if left := srv.Objects("lake", ""); len(left) != 1 || left["c"].Size != 1 {
		t.Errorf("left %v", left)
	}
	if srv.Bytes() != 1 {
		t.Errorf("%d bytes", srv.Bytes())
	}
}

// Every listing is walked with every page size, with and without a delimiter:
// each key and each group comes once, in the order of bytes.
func TestListObjectsV2(t *testing.T) {
	client := newClient(lakeServer().Client())
	keys := []string{"a/1", "a/2", "a/b/3", "b", "b/", "b/4", "c", "d/e/f", "é", "z z+%"}
	for _, key := range keys {
		put(t, client, key, "x")
	}
	list := func(prefix, delimiter string, page int32) (found []string) {
		pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{
			Bucket: aws.String("lake"), Prefix: &prefix, Delimiter: &delimiter, MaxKeys: &page,
		})
		for pages.HasMorePages() {
			out, err := pages.NextPage(t.Context())
			must(t, out, err)
			if n := len(out.Contents) + len(out.CommonPrefixes); n > int(page) || int32(n) != *out.KeyCount {
				t.Fatalf("%d on a page of %d, KeyCount %d", n, page, *out.KeyCount)
			}
			for _, o := range out.Contents {
				found = append(found, *o.Key)
			}
			for _, p := range out.CommonPrefixes {
				found = append(found, *p.Prefix+"*")
			}
		}
		slices.Sort(found)
		return found
	}
	for page := int32(1); page < 12; page++ {
		for _, c := range []struct {
			prefix, delimiter string
			want              []string
		}{
			{"", "", []string{"a/1", "a/2", "a/b/3", "b", "b/", "b/4", "c", "d/e/f", "z z+%", "é"}},
			{"", "/", []string{"a/*", "b", "b/*", "c", "d/*", "z z+%", "é"}},
			{"a/", "/", []string{"a/1", "a/2", "a/b/*"}},
			{"a/", "", []string{"a/1", "a/2", "a/b/3"}},
			{"none", "/", nil},
		} {
			if got := list(c.prefix, c.delimiter, page); !slices.Equal(got, c.want) {
				t.Errorf("prefix %q delimiter %q page %d: %q", c.prefix, c.delimiter, page, got)
			}
		}
	}
	out, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{
		Bucket: aws.String("lake"), StartAfter: aws.String("b/4"), EncodingType: types.EncodingTypeUrl,
	})
	must(t, out, err)
	if len(out.Contents) != 4 || *out.Contents[2].Key != "z+z%2B%25" {
		t.Errorf("after b/4: %+v", out.Contents)
	}
	_, err = client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("lake"), ContinuationToken: aws.String("?")})
	wantCode(t, err, "InvalidArgument")
}

func TestCredentials(t *testing.T) {
	srv := lakeServer(func(c *s3test.Config) {
		c.Credentials = func(key string) error {
			switch key {
			case "AKTEST":
				return nil
			case "AKFOREIGN":
				return &s3test.Error{Status: 403, Code: "InvalidAccessKeyId", Message: "unknown"}
			}
			return fmt.Errorf("%s was rotated", key)
		}
	})
	list := func(key string) error {
		client := newClient(srv.Client(), func(o *s3.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider(key, "s", "")
		})
		_, err := client.ListBuckets(context.Background(), &s3.ListBucketsInput{})
		return err
	}
	must(t, 0, list("AKTEST"))
	wantCode(t, list("AKOLD"), "ExpiredToken")
	wantCode(t, list("AKFOREIGN"), "InvalidAccessKeyId")
	client := newClient(srv.Client(), func(o *s3.Options) { o.Credentials = aws.AnonymousCredentials{} })
	_, err := client.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	wantCode(t, err, "AccessDenied")
	open := lakeServer(func(c *s3test.Config) { c.AllowUnsigned = true })
	client = newClient(open.Client(), func(o *s3.Options) { o.Credentials = aws.AnonymousCredentials{} })
	_, err = client.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	must(t, 0, err)
	if srv.ErrorCounts()["ExpiredToken"] != 1 || srv.Count("ListBuckets") != 4 {
		t.Errorf("counts %v %v", srv.ErrorCounts(), srv.Counts())
	}
}

func TestPresignedAddress(t *testing.T) {
	now := time.Now()
	srv := lakeServer(func(c *s3test.Config) { c.Now = func() time.Time { return now } })
	client := newClient(srv.Client())
	put(t, client, "k", "v")
	signed, err := s3.NewPresignClient(client).PresignGetObject(t.Context(), &s3.GetObjectInput{
		Bucket: aws.String("lake"), Key: aws.String("k"),
	}, s3.WithPresignExpires(time.Minute))
	must(t, signed, err)
	for _, want := range []int{200, 403} {
		req, err := http.NewRequestWithContext(t.Context(), signed.Method, signed.URL, nil)
		must(t, req, err)
		resp, err := srv.Client().Do(req)
		if must(t, resp, err); resp.StatusCode != want {
			t.Errorf("status %d, want %d", resp.StatusCode, want)
		}
		must(t, 0, resp.Body.Close())
		now = now.Add(2 * time.Minute)
	}
}

func TestVirtualHostStyle(t *testing.T) {
	srv := lakeServer()
	for _, endpoint := range []*string{nil, aws.String("http://s3.test"), aws.String("http://localhost:9000")} {
		client := newClient(srv.Client(), func(o *s3.Options) {
			o.UsePathStyle = false
			o.BaseEndpoint = endpoint
		})
		put(t, client, "dir/k", "v")
		if got := get(t, client, "dir/k"); got != "v" {
			t.Errorf("%q", got)
		}
	}
	if len(srv.Objects("lake", "")) != 1 {
		t.Errorf("%v", srv.Objects("lake", ""))
	}
}

func TestWhatIsNotThereIsRefused(t *testing.T) {
	client := newClient(lakeServer().Client())
	lake, key := aws.String("lake"), aws.String("k")
	_, err := client.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: lake, Key: key})
	wantCode(t, err, "NotImplemented")
	_, err = client.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: lake, Key: key, CopySource: aws.String("lake/x")})
	wantCode(t, err, "NotImplemented")
	_, err = client.ListObjects(t.Context(), &s3.ListObjectsInput{Bucket: lake})
	wantCode(t, err, "NotImplemented")
	_, err = client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: lake, Key: key, VersionId: aws.String("v")})
	wantCode(t, err, "NotImplemented")
	_, err = client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: lake, Key: aws.String(strings.Repeat("k", 1025))})
	wantCode(t, err, "KeyTooLongError")
	_, err = client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: lake, Key: key, Metadata: map[string]string{"m": strings.Repeat("m", 2048)}})
	wantCode(t, err, "MetadataTooLarge")
}

func TestMemoryIsBounded(t *testing.T) {
	srv := lakeServer(func(c *s3test.Config) { c.MaxBytes = 1000 })
	client := newClient(srv.Client())
	put(t, client, "a", strings.Repeat("x", 600))
	write := func(key string, n int) error {
		_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String("lake"), Key: &key, Body: strings.NewReader(strings.Repeat("y", n)),
		})
		return err
	}
	err := write("b", 500)
	wantCode(t, err, "InsufficientStorage")
	if !strings.Contains(err.Error(), "Config.MaxBytes = 1000") {
		t.Error(err)
	}
	must(t, 0, write("a", 400)) // replaces 600
	must(t, 0, write("b", 500))
	if srv.Bytes() != 900 {
		t.Errorf("%d bytes", srv.Bytes())
	}
}

// Completing takes no more of the budget than the parts had.
func TestUploadOfHalfTheMemory(t *testing.T) {
	srv := lakeServer(func(c *s3test.Config) { c.MaxBytes = 2000 })
	client := newClient(srv.Client())
	id := create(t, client, "k")
	p1, p2 := part(t, client, "k", id, 1, strings.Repeat("x", 700)), part(t, client, "k", id, 2, strings.Repeat("x", 700))
	_, err := complete(t, client, "k", id, p1, p2)
	must(t, 0, err)
	if srv.Bytes() != 1400 {
		t.Errorf("%d bytes", srv.Bytes())
	}
}

func TestStoredHeadersComeBack(t *testing.T) {
	client := newClient(lakeServer().Client())
	lake, key := aws.String("lake"), aws.String("k")
	out, err := client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: lake, Key: key, Body: strings.NewReader("v"), ServerSideEncryption: types.ServerSideEncryptionAwsKms,
		SSEKMSKeyId: aws.String("key-1"), StorageClass: types.StorageClassStandardIa, Tagging: aws.String("a=1&b=2"),
	})
	if must(t, out, err); out.ServerSideEncryption != "aws:kms" || *out.SSEKMSKeyId != "key-1" {
		t.Errorf("put %+v", out)
	}
	got, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: lake, Key: key, ResponseContentType: aws.String("text/plain")})
	must(t, got, err)
	must(t, 0, got.Body.Close())
	if got.StorageClass != "STANDARD_IA" || *got.TagCount != 2 || *got.ContentType != "text/plain" || *got.SSEKMSKeyId != "key-1" {
		t.Errorf("get %+v", got)
	}
	list, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: lake, FetchOwner: aws.Bool(true)})
	if must(t, list, err); list.Contents[0].StorageClass != "STANDARD_IA" || list.Contents[0].Owner == nil {
		t.Errorf("list %+v", list.Contents)
	}
	past := aws.Time(time.Unix(0, 0))
	_, err = client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: lake, Key: key, IfUnmodifiedSince: past})
	wantCode(t, err, "PreconditionFailed")
	_, err = client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: lake, Key: key, IfModifiedSince: list.Contents[0].LastModified})
	if err == nil || !strings.Contains(err.Error(), "StatusCode: 304") {
		t.Error(err)
	}
}
