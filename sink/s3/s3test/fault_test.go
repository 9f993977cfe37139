package s3test_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/shardlake/shardlake/sink/s3/s3test"
)

// tryPut is PutObject without the test.
func tryPut(ctx context.Context, client *s3.Client, key, body string) error {
	_, err := client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String("lake"), Key: &key, Body: strings.NewReader(body),
	})
	return err
}

// What each kind answers, and whether the object is there afterwards.
func TestKinds(t *testing.T) {
	for _, c := range []struct {
		kind    s3test.Kind
		code    string // of the API error; "" for none
		cut     bool
		visible bool
	}{
		{s3test.Pass, "", false, true},
		{s3test.SlowDown, "SlowDown", false, false},
		{s3test.InternalError, "InternalError", false, false},
		{s3test.ServiceUnavailable, "ServiceUnavailable", false, false},
		{s3test.RequestTimeout, "RequestTimeout", false, false},
		{s3test.AccessDenied, "AccessDenied", false, false},
		{s3test.ExpiredToken, "ExpiredToken", false, false},
		{s3test.PreconditionFailed, "PreconditionFailed", false, false},
		{s3test.Conflict, "ConditionalRequestConflict", false, false},
		{s3test.InternalErrorAfter, "InternalError", false, true},
		{s3test.CutBefore, "", true, false},
		{s3test.CutAfter, "", true, true},
		{s3test.Late, "", true, false},
		{s3test.CutBody, "", false, true}, // PutObject has no body to cut
		{s3test.Kind(200), "InternalError", false, false},
	} {
		t.Run(c.kind.String(), func(t *testing.T) {
			srv := lakeServer()
			client := newClient(srv.Client())
			rule := srv.Fault(s3test.Fault{Op: "PutObject", Kind: c.kind})
			err := tryPut(t.Context(), client, "k", "v")
			switch {
			case c.code != "":
				wantCode(t, err, c.code)
			case c.cut != errors.Is(err, s3test.ErrCut), !c.cut && err != nil:
				t.Fatal(err)
			}
			if _, visible := srv.Objects("lake", "")["k"]; visible != c.visible || rule.Hits() != 1 {
				t.Errorf("visible %v, hits %d", visible, rule.Hits())
			}
			rule.Drop()
			if want := srv.Objects("lake", "")["k"].Size; srv.Bytes() != want {
				t.Errorf("%d bytes held, want %d", srv.Bytes(), want)
			}
			must(t, 0, tryPut(t.Context(), client, "k", "v")) // once only
		})
	}
}

func TestErrorIn200(t *testing.T) {
	for _, kind := range []s3test.Kind{s3test.ErrorIn200, s3test.ErrorIn200After} {
		srv := lakeServer()
		client := newClient(srv.Client())
		id := create(t, client, "k")
		p := part(t, client, "k", id, 1, "x")
		srv.Fault(s3test.Fault{Op: "CompleteMultipartUpload", Kind: kind})
		_, err := complete(t, client, "k", id, p)
		wantCode(t, err, "InternalError")
		if n := len(srv.Objects("lake", "")); (n == 1) != (kind == s3test.ErrorIn200After) {
			t.Errorf("%v: %d objects", kind, n)
		}
		_, err = complete(t, client, "k", id, p)
		must(t, 0, err)
	}
	// As Kafka Connect saw it: 412 inside of 200.
	srv := lakeServer()
	client := newClient(srv.Client())
	id := create(t, client, "k")
	srv.Fault(s3test.Fault{Op: "CompleteMultipartUpload", Func: func(context.Context, *s3test.Call) error {
		return &s3test.Error{Status: 200, Code: "PreconditionFailed", Message: "there"}
	}})
	_, err := complete(t, client, "k", id, part(t, client, "k", id, 1, "x"))
	wantCode(t, err, "PreconditionFailed")
}

func TestConflictTakesTheUpload(t *testing.T) {
	srv := lakeServer()
	client := newClient(srv.Client())
	id := create(t, client, "k")
	p := part(t, client, "k", id, 1, "x")
	srv.Fault(s3test.Fault{Op: "CompleteMultipartUpload", Kind: s3test.Conflict})
	_, err := complete(t, client, "k", id, p)
	wantCode(t, err, "ConditionalRequestConflict")
	_, err = complete(t, client, "k", id, p)
	wantCode(t, err, "NoSuchUpload")
}

// A rule hits the Nth matching request and Times-1 after it; of two rules due
// the first acts, and the second keeps its hit.
func TestWhichRequestsAreHit(t *testing.T) {
	srv := lakeServer()
	client := newClient(srv.Client())
	second := srv.Fault(s3test.Fault{Op: "PutObject", KeyContains: "x", Nth: 2, Times: 2, Kind: s3test.SlowDown})
	denied := srv.Fault(s3test.Fault{Bucket: "lake", Nth: 3, Kind: s3test.AccessDenied, Match: func(c *s3test.Call) bool {
		return c.Size == 1
	}})
	var got []string
	for _, key := range []string{"x", "x", "y", "x", "x", "y"} {
		err := tryPut(t.Context(), client, key, "v")
		switch {
		case err == nil:
			got = append(got, "ok")
		case strings.Contains(err.Error(), "SlowDown"):
			got = append(got, "slow")
		default:
			got = append(got, "denied")
		}
	}
	if s := strings.Join(got, " "); s != "ok slow denied slow ok ok" {
		t.Error(s)
	}
	if second.Seen() != 4 || second.Hits() != 2 || denied.Seen() != 6 || denied.Hits() != 1 {
		t.Errorf("seen %d, %d, hits %d, %d", second.Seen(), denied.Seen(), second.Hits(), denied.Hits())
	}
	always := srv.Fault(s3test.Fault{Times: -1, Kind: s3test.SlowDown})
	for range 3 {
		wantCode(t, tryPut(t.Context(), client, "k", "v"), "SlowDown")
	}
	always.Remove()
	must(t, 0, tryPut(t.Context(), client, "k", "v"))
	srv.Fault(s3test.Fault{Times: -1, Kind: s3test.SlowDown})
	srv.ClearFaults()
	must(t, 0, tryPut(t.Context(), client, "k", "v"))
}

// The SDK's own retries get through what S3 asks to repeat.
func TestRetriesOfTheSDK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := lakeServer()
		client := newClient(srv.Client(), func(o *s3.Options) { o.Retryer = retry.NewStandard() })
		for _, kind := range []s3test.Kind{s3test.SlowDown, s3test.InternalError, s3test.CutBefore, s3test.CutAfter, s3test.RequestTimeout} {
			srv.Fault(s3test.Fault{Op: "PutObject", Kind: kind})
			must(t, 0, tryPut(t.Context(), client, kind.String(), "v"))
		}
		if srv.Count("PutObject") != 10 {
			t.Errorf("%d requests", srv.Count("PutObject"))
		}
	})
}

func TestSlowAndHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := lakeServer()
		client := newClient(srv.Client())
		start := time.Now()
		srv.Fault(s3test.Fault{Op: "PutObject", Kind: s3test.Slow, Delay: time.Hour})
		must(t, 0, tryPut(t.Context(), client, "k", "v"))
		if d := time.Since(start); d != time.Hour {
			t.Errorf("took %v", d)
		}

		for _, kind := range []s3test.Kind{s3test.Slow, s3test.Hang, s3test.HangAfter} {
			srv.Fault(s3test.Fault{Op: "PutObject", Kind: kind, Delay: time.Hour})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			start = time.Now()
			err := tryPut(ctx, client, kind.String(), "v")
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
				t.Errorf("%v: %v after %v", kind, err, time.Since(start))
			}
			synctest.Wait() // the server notices too
			_, visible := srv.Objects("lake", "")[kind.String()]
			if visible != (kind == s3test.HangAfter) {
				t.Errorf("%v: visible %v", kind, visible)
			}
		}
		if srv.Bytes() != 2 {
			t.Errorf("%d bytes", srv.Bytes())
		}
	})
}

func TestBodiesOfAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := lakeServer()
		client := newClient(srv.Client())
		body := bytes.Repeat([]byte("x"), 200<<10)
		put(t, client, "k", string(body))
		in := &s3.GetObjectInput{Bucket: aws.String("lake"), Key: aws.String("k")}

		srv.Fault(s3test.Fault{Op: "GetObject", Kind: s3test.SlowBody, Delay: time.Second})
		start := time.Now()
		if got := get(t, client, "k"); got != string(body) || time.Since(start) != 4*time.Second {
			t.Errorf("%d bytes after %v", len(got), time.Since(start))
		}

		// A reader that gives up, by its context or by closing, frees the server.
		srv.Fault(s3test.Fault{Op: "GetObject", Kind: s3test.SlowBody, Times: 2})
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		out, err := client.GetObject(ctx, in)
		must(t, out, err)
		n, err := io.Copy(io.Discard, out.Body)
		if n != 64<<10 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d bytes, %v", n, err)
		}
		must(t, 0, out.Body.Close())
		cancel()
		out, err = client.GetObject(t.Context(), in)
		must(t, out, err)
		must(t, 0, out.Body.Close())

		srv.Fault(s3test.Fault{Op: "GetObject", Kind: s3test.CutBody})
		out, err = client.GetObject(t.Context(), in)
		must(t, out, err)
		n, err = io.Copy(io.Discard, out.Body)
		if n != 100<<10 || !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, s3test.ErrCut) {
			t.Errorf("%d bytes, %v", n, err)
		}
		must(t, 0, out.Body.Close())
	})
}

// A late request of a writer that has long been replaced still takes effect: it
// overwrites.
func TestLateRequest(t *testing.T) {
	srv := lakeServer()
	client := newClient(srv.Client())
	rule := srv.Fault(s3test.Fault{Op: "PutObject", Kind: s3test.Late, Times: 3})
	for _, body := range []string{"first", "second", "third"} {
		if err := tryPut(t.Context(), client, "k", body); !errors.Is(err, s3test.ErrCut) {
			t.Fatal(err)
		}
		if body == "second" && rule.Drop() != 2 {
			t.Error("two were held")
		}
	}
	put(t, client, "k", "retry")
	if rule.Held() != 1 || srv.Bytes() != int64(len("third")+len("retry")) {
		t.Fatalf("%d held, %d bytes", rule.Held(), srv.Bytes())
	}
	if rule.Release() != 1 || get(t, client, "k") != "third" || srv.Bytes() != 5 {
		t.Errorf("visible %q, %d bytes", get(t, client, "k"), srv.Bytes())
	}
	// A late part of an upload that was completed meanwhile has no effect.
	late := srv.Fault(s3test.Fault{Op: "UploadPart", Kind: s3test.Late})
	id := create(t, client, "k")
	_, err := client.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: aws.String("lake"), Key: aws.String("k"), UploadId: &id, PartNumber: aws.Int32(1), Body: strings.NewReader("other"),
	})
	if !errors.Is(err, s3test.ErrCut) {
		t.Fatal(err)
	}
	_, err = complete(t, client, "k", id, part(t, client, "k", id, 1, "part"))
	must(t, 0, err)
	if late.Release() != 1 || get(t, client, "k") != "part" || srv.Bytes() != 4 {
		t.Errorf("visible %q, %d bytes", get(t, client, "k"), srv.Bytes())
	}
}

func TestHeldRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := lakeServer()
		client := newClient(srv.Client())
		rule := srv.Fault(s3test.Fault{Op: "PutObject", Kind: s3test.Held, Times: -1})
		ctx, giveUp := context.WithCancel(t.Context())
		patient, hasty, lost := make(chan error, 1), make(chan error, 1), make(chan error, 1)
		go func() { patient <- tryPut(t.Context(), client, "patient", "v") }()
		go func() { hasty <- tryPut(ctx, client, "hasty", "v") }()
		<-rule.Reached()
		synctest.Wait()
		giveUp()
		if err := <-hasty; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if len(srv.Objects("lake", "")) != 0 || rule.Release() != 2 {
			t.Error("both are held and have no effect yet")
		}
		must(t, 0, <-patient)
		if len(srv.Objects("lake", "")) != 2 {
			t.Errorf("visible %v", srv.Objects("lake", ""))
		}
		go func() { lost <- tryPut(t.Context(), client, "lost", "v") }()
		synctest.Wait()
		rule.Drop()
		if err := <-lost; !errors.Is(err, s3test.ErrCut) {
			t.Error(err)
		}
		if len(srv.Objects("lake", "")) != 2 || srv.Bytes() != 2 {
			t.Errorf("%v, %d bytes", srv.Objects("lake", ""), srv.Bytes())
		}
	})
}

// A fault of the test's own: the effect, then a look at the lake, then the cut.
func TestFuncAndApply(t *testing.T) {
	srv := lakeServer()
	client := newClient(srv.Client())
	var op, key, access string
	srv.Fault(s3test.Fault{Op: "PutObject", Func: func(_ context.Context, c *s3test.Call) error {
		op, key, access = c.Op, c.Key, c.AccessKey
		if err := c.Apply(); err != nil {
			return err
		}
		if len(srv.Objects("lake", "")) != 1 {
			t.Error("Apply had no effect")
		}
		return s3test.ErrCut
	}})
	if err := tryPut(t.Context(), client, "k", "v"); !errors.Is(err, s3test.ErrCut) {
		t.Error(err)
	}
	if op != "PutObject" || key != "k" || access != "AKTEST" {
		t.Errorf("call %s %s %s", op, key, access)
	}
	srv.Fault(s3test.Fault{Func: func(context.Context, *s3test.Call) error { return errors.New("disk on fire") }})
	err := tryPut(t.Context(), client, "k", "v")
	wantCode(t, err, "InternalError")
	if !strings.Contains(err.Error(), "disk on fire") {
		t.Error(err)
	}
}

// Case C7: beyond the rate the answer is SlowDown, by the injected clock.
func TestRate(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	srv := lakeServer(func(c *s3test.Config) {
		c.Now = func() time.Time { return now }
		c.Rate = 20
	})
	client := newClient(srv.Client())
	second := func() (served int) {
		for range 100 {
			if err := tryPut(t.Context(), client, "k", "v"); err == nil {
				served++
			} else {
				wantCode(t, err, "SlowDown")
			}
		}
		return served
	}
	for range 3 {
		if n := second(); n != 20 {
			t.Errorf("%d served in a second", n)
		}
		now = now.Add(time.Second)
	}
	now = now.Add(time.Hour)
	if n := second(); n != 20 {
		t.Errorf("%d served at once after a rest", n)
	}
	srv.SetRate(10, 5)
	if n := second(); n != 5 {
		t.Errorf("burst of %d", n)
	}
	srv.SetRate(0, 0)
	if n := second(); n != 100 {
		t.Errorf("%d served without a limit", n)
	}
}

// Between any two changes a reader sees whole objects only, and each once.
func TestEveryInstantIsSeen(t *testing.T) {
	var srv *s3test.Server
	instants := 0
	srv = lakeServer(func(c *s3test.Config) {
		c.OnVisible = func(bucket, key string) {
			instants++ // never concurrently
			for _, o := range srv.Objects(bucket, "") {
				if string(o.Body) != "whole "+o.Key {
					t.Errorf("%s holds %q", o.Key, o.Body)
				}
			}
			if n := len(srv.Objects(bucket, "")); n > 0 && srv.Bytes() == 0 {
				t.Error("objects without memory")
			}
		}
	})
	client := newClient(srv.Client())
	done := make(chan error)
	keys := []string{"a", "b", "c", "d"}
	for _, key := range keys {
		go func() {
			for range 10 {
				if err := tryPut(t.Context(), client, key, "whole "+key); err != nil {
					done <- err
					return
				}
				if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("lake"), Key: &key}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range keys {
		must(t, 0, <-done)
	}
	if instants != 80 || srv.Bytes() != 0 {
		t.Errorf("%d changes seen, %d bytes left", instants, srv.Bytes())
	}
}
