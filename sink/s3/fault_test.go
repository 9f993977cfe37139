package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/s3"
	"github.com/shardlake/shardlake/sink/s3/s3test"
)

// outcome is what a three-part upload may come to under a fault.
type outcome struct {
	once   error // nil: succeeds in spite of the fault
	always error // when the fault stays; errPasses: not of a kind, so the caller goes on
}

var errPasses = errors.New("any error that a caller repeats")

// faults are all kinds that a service may inflict, with what must come of each.
var faults = map[s3test.Kind]outcome{
	s3test.Pass:               {nil, nil},
	s3test.SlowDown:           {nil, errPasses},
	s3test.InternalError:      {nil, errPasses},
	s3test.ServiceUnavailable: {nil, errPasses},
	s3test.RequestTimeout:     {nil, errPasses},
	s3test.AccessDenied:       {sink.ErrRefused, sink.ErrRefused},
	s3test.ExpiredToken:       {nil, errPasses},
	s3test.NoSuchUpload:       {sink.ErrNoUpload, sink.ErrNoUpload},
	s3test.PreconditionFailed: {sink.ErrRefused, sink.ErrRefused},
	s3test.Conflict:           {nil, errPasses},
	s3test.ErrorIn200:         {nil, errPasses},
	s3test.ErrorIn200After:    {nil, errPasses},
	s3test.InternalErrorAfter: {nil, errPasses},
	s3test.CutBefore:          {nil, errPasses},
	s3test.CutAfter:           {nil, errPasses},
	s3test.CutBody:            {nil, errPasses},
	s3test.Slow:               {nil, nil},
	s3test.SlowBody:           {nil, nil},
	s3test.Hang:               {nil, errPasses},
	s3test.HangAfter:          {nil, errPasses},
	s3test.Late:               {nil, errPasses},
	s3test.Held:               {nil, errPasses},
}

// TestFaults inflicts each kind of fault on each call of a three-part upload, once
// and for ever, on servers that answer a repeated Complete in either way. Whatever
// happens, a reader sees nothing or the whole object, at every instant.
func TestFaults(t *testing.T) {
	whole := [][]byte{bytes.Repeat([]byte("a"), 64<<10), bytes.Repeat([]byte("b"), 64<<10), []byte("the end")}
	all := bytes.Join(whole, nil)
	for kind, want := range faults {
		for _, at := range []struct {
			op  string
			nth int
		}{{"CreateMultipartUpload", 1}, {"UploadPart", 1}, {"UploadPart", 2}, {"UploadPart", 3}, {"CompleteMultipartUpload", 1}} {
			for _, times := range []int{1, -1} {
				for _, repeat := range []s3test.RepeatComplete{s3test.RepeatSame, s3test.RepeatNoSuchUpload} {
					if times < 0 && at.nth == 2 || repeat == s3test.RepeatNoSuchUpload && at.op != "CompleteMultipartUpload" {
						continue // says nothing new
					}
					t.Run(fmt.Sprintf("%v/%s %d/%d times/%d", kind, at.op, at.nth, times, repeat), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							w := &watched{whole: all}
							w.srv = s3test.New(s3test.Config{Buckets: []string{"lake"}, MinPart: -1, RepeatComplete: repeat, OnVisible: func(string, string) { w.look(t) }})
							rule := w.srv.Fault(s3test.Fault{Op: at.op, Nth: at.nth, Times: times, Kind: kind})
							err := upload(t.Context(), over(w.srv, s3.Config{}), "raw/x.parquet", whole)
							if rule.Hits() == 0 {
								t.Fatal("the fault did not happen")
							}
							expect := want.once
							if times < 0 {
								expect = want.always
							}
							w.judge(t, kind, at.op, err, expect)
							// What the network held back arrives when all is over.
							rule.Release()
							synctest.Wait()
							w.look(t)
						})
					})
				}
			}
		}
	}
}

// upload makes an object as a sink and its publisher do.
func upload(ctx context.Context, s sink.Store, key string, bodies [][]byte) error {
	id, err := s.Create(ctx, key, map[string]string{"sl-commit": "7"})
	if err != nil {
		return fmt.Errorf("Create: %w", err)
	}
	var parts []sink.Part
	var size int64
	for i, b := range bodies {
		p, err := s.PutPart(ctx, key, id, i+1, sink.NewChunks(b))
		if err != nil {
			return fmt.Errorf("PutPart: %w", err)
		}
		parts, size = append(parts, p), size+p.Size
	}
	if err := s.Prepare(ctx, key, id, parts); err != nil {
		return fmt.Errorf("Prepare: %w", err)
	}
	for range 3 {
		err = s.Complete(ctx, key, id, parts)
		if err == nil || errors.Is(err, sink.ErrNoUpload) || errors.Is(err, sink.ErrRefused) {
			break
		}
	}
	if !errors.Is(err, sink.ErrNoUpload) {
		return err
	}
	// Gone: then an earlier Complete did it, or the upload is lost.
	o, herr := s.Head(ctx, key)
	switch {
	case errors.Is(herr, sink.ErrNoObject):
		return err
	case herr != nil:
		return herr
	case o.Size != size || o.Meta["sl-commit"] != "7":
		return fmt.Errorf("another object: %+v", o)
	}
	return nil
}

// watched is a server of which every change is looked at.
type watched struct {
	srv   *s3test.Server
	whole []byte
}

// look sees that what is visible is whole.
func (w *watched) look(t *testing.T) {
	for k, o := range w.srv.Objects("lake", "") {
		if !bytes.Equal(o.Body, w.whole) {
			t.Errorf("%s is visible with %d bytes, not whole", k, len(o.Body))
		}
	}
}

func (w *watched) judge(t *testing.T, kind s3test.Kind, op string, err, expect error) {
	t.Helper()
	w.look(t)
	there := len(w.srv.Objects("lake", "")) == 1
	switch {
	case kind == s3test.Conflict && op == "CompleteMultipartUpload" && expect == nil:
		expect = sink.ErrNoUpload // S3 loses the upload with this answer
	case kind == s3test.CutBody && op == "UploadPart":
		expect = nil // the answer has no body
	}
	if there && op == "CompleteMultipartUpload" && expect == errPasses {
		return // it took effect though every answer was lost; the caller repeats until it hears so
	}
	switch {
	case expect == nil:
		if err != nil || !there {
			t.Errorf("error %v, object visible: %v", err, there)
		}
	case expect == errPasses:
		if err == nil || errors.Is(err, sink.ErrRefused) || errors.Is(err, sink.ErrNoUpload) || there {
			t.Errorf("error %v, object visible: %v; want an error that is worth repeating", err, there)
		}
	case !errors.Is(err, expect):
		t.Errorf("error %v, want %v", err, expect)
	}
	if err != nil && (!strings.Contains(err.Error(), "lake") || !strings.Contains(err.Error(), "raw/x.parquet")) {
		t.Errorf("error %q names neither bucket nor key", err)
	}
}

// TestFaultsOfListing inflicts the faults on the calls of a sweep and of a
// verdict: a listing must fail rather than come back short.
func TestFaultsOfListing(t *testing.T) {
	for kind, want := range faults {
		switch kind {
		case s3test.NoSuchUpload, s3test.PreconditionFailed, s3test.ErrorIn200, s3test.ErrorIn200After, s3test.Late, s3test.Held:
			continue // not known of these calls
		}
		for _, op := range []string{"ListMultipartUploads", "ListParts", "HeadObject", "AbortMultipartUpload"} {
			for _, times := range []int{1, -1} {
				t.Run(fmt.Sprintf("%v/%s/%d times", kind, op, times), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						srv := s3test.New(s3test.Config{Buckets: []string{"lake"}})
						s := over(srv, s3.Config{})
						if err := upload(t.Context(), s, "raw/seen", [][]byte{[]byte("rows")}); err != nil {
							t.Fatal(err)
						}
						id, err := s.Create(t.Context(), "raw/x", nil)
						if err != nil {
							t.Fatal(err)
						}
						if _, err := s.PutPart(t.Context(), "raw/x", id, 1, sink.NewChunks([]byte("rows"))); err != nil {
							t.Fatal(err)
						}
						srv.Fault(s3test.Fault{Op: op, Times: times, Kind: kind})
						n, err := 0, error(nil)
						switch op {
						case "ListMultipartUploads":
							for _, uerr := range s.Uploads(t.Context(), "raw/") {
								if err = uerr; err == nil {
									n++
								}
							}
						case "ListParts":
							var parts []sink.Part
							parts, err = s.Parts(t.Context(), "raw/x", id)
							n = len(parts)
						case "HeadObject":
							var o sink.Object
							o, err = s.Head(t.Context(), "raw/seen")
							n = int(o.Size) - 3
						case "AbortMultipartUpload":
							n, err = 1, s.Abort(t.Context(), "raw/x", id)
						}
						expect := want.once
						if times < 0 {
							expect = want.always
						}
						switch {
						case err == nil && n != 1:
							t.Errorf("%d results without an error", n)
						case expect == nil && err != nil:
							t.Error(err)
						case expect == sink.ErrRefused && !errors.Is(err, sink.ErrRefused):
							t.Errorf("error %v, want %v", err, sink.ErrRefused)
						case errors.Is(err, sink.ErrNoUpload), errors.Is(err, sink.ErrNoObject):
							t.Errorf("the fault was taken for %v", err)
						}
					})
				})
			}
		}
	}
}

// TestLostConnections cuts real connections at each call. The waits between
// attempts are left out.
func TestLostConnections(t *testing.T) {
	whole := [][]byte{bytes.Repeat([]byte("a"), 64<<10), []byte("the end")}
	for _, kind := range []s3test.Kind{s3test.CutBefore, s3test.CutAfter, s3test.CutBody, s3test.InternalError, s3test.SlowDown} {
		t.Run(kind.String(), func(t *testing.T) {
			srv, err := s3test.Listen(s3test.Config{Buckets: []string{"lake"}, MinPart: -1, RepeatComplete: s3test.RepeatNoSuchUpload})
			if err != nil {
				t.Fatal(err)
			}
			s := over(srv.Server, s3.Config{Endpoint: srv.URL()})
			s.SetSleep(func(ctx context.Context, _ time.Duration) error { return ctx.Err() })
			for _, op := range []string{"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "HeadObject"} {
				for nth := 1; nth <= 3; nth++ {
					srv.Fault(s3test.Fault{Op: op, Nth: nth, Kind: kind})
				}
			}
			for i := range 3 {
				if err := upload(t.Context(), s, fmt.Sprint("raw/", i), whole); err != nil {
					t.Error(err)
				}
			}
			if n := len(visible(srv.Server)); n != 3 {
				t.Errorf("%d objects", n)
			}
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
