package s3_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/s3"
)

// TestPassingTrouble lets each call meet an error that passes. It succeeds, and
// waits longer where the service says that it is too busy.
func TestPassingTrouble(t *testing.T) {
	for name, c := range map[string]struct {
		answer   func() *http.Response
		min, max time.Duration // of three waits
	}{
		"503 SlowDown":       {func() *http.Response { return failure(503, "SlowDown") }, 3500 * time.Millisecond, 7 * time.Second},
		"429":                {func() *http.Response { return failure(429, "TooManyRequests") }, 3500 * time.Millisecond, 7 * time.Second},
		"500 InternalError":  {func() *http.Response { return failure(500, "InternalError") }, 700 * time.Millisecond, 1400 * time.Millisecond},
		"502 without a body": {func() *http.Response { return reply(502, "<html>bad gateway</html>") }, 700 * time.Millisecond, 1400 * time.Millisecond},
		"400 RequestTimeout": {func() *http.Response { return failure(400, "RequestTimeout") }, 700 * time.Millisecond, 1400 * time.Millisecond},
		"400 ExpiredToken":   {func() *http.Response { return failure(400, "ExpiredToken") }, 700 * time.Millisecond, 1400 * time.Millisecond},
		"409":                {func() *http.Response { return failure(409, "OperationAborted") }, 700 * time.Millisecond, 1400 * time.Millisecond},
		"no answer":          {func() *http.Response { return nil }, 3 * 30 * time.Second, 16 * time.Minute},
	} {
		for call, do := range calls {
			t.Run(name+"/"+call, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, svc := with(t, s3.Config{RetryFor: time.Hour}, func(n int, r *http.Request, body string) *http.Response {
						if n <= 3 {
							return c.answer()
						}
						return fine(n, r, body)
					})
					begun := time.Now()
					if err := do(t.Context(), s); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(begun); svc.count() != 4 || took < c.min || took > c.max {
						t.Errorf("%d requests in %v, want 4 within %v to %v", svc.count(), took, c.min, c.max)
					}
				})
			})
		}
	}
}

// TestLastingTrouble sees that a call gives up after about a minute, with an error
// that its caller may repeat and that tells what happened.
func TestLastingTrouble(t *testing.T) {
	for call, do := range calls {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, svc := with(t, s3.Config{}, func(int, *http.Request, string) *http.Response {
					return failure(503, "SlowDown")
				})
				begun := time.Now()
				err := do(t.Context(), s)
				if err == nil || errors.Is(err, sink.ErrRefused) || errors.Is(err, sink.ErrNoUpload) || errors.Is(err, sink.ErrNoObject) {
					t.Fatalf("error %v, want one of no kind", err)
				}
				if took := time.Since(begun); took < 25*time.Second || took > time.Minute || svc.count() < 6 || svc.count() > 10 {
					t.Errorf("%d requests in %v", svc.count(), took)
				}
				for _, want := range []string{"lake", "raw/", "attempts", "503"} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("error %q does not tell %q", err, want)
					}
				}
			})
		})
	}
}

// TestContextEndsWaiting sees that a call does not outlive its context, neither in
// a wait nor in an attempt, and then tells what it waited for.
func TestContextEndsWaiting(t *testing.T) {
	for name, answer := range map[string]func() *http.Response{
		"SlowDown": func() *http.Response { return failure(503, "SlowDown") },
		"hanging":  func() *http.Response { return nil },
	} {
		for call, do := range calls {
			t.Run(name+"/"+call, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, _ := with(t, s3.Config{RetryFor: time.Hour}, func(int, *http.Request, string) *http.Response { return answer() })
					ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errors.New("the lane is lost"))
					defer cancel()
					begun := time.Now()
					err := do(ctx, s)
					if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the lane is lost") {
						t.Errorf("error %v", err)
					}
					if took := time.Since(begun); took != 3*time.Second {
						t.Errorf("returned after %v", took)
					}
				})
			})
		}
	}
}

// TestAttemptTimeouts sees how long an attempt may hang.
func TestAttemptTimeouts(t *testing.T) {
	for call, want := range map[string]time.Duration{"Head": 30 * time.Second, "PutPart": 50 * time.Second, "Complete": 5 * time.Minute} {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, svc := with(t, s3.Config{RetryFor: time.Nanosecond}, func(int, *http.Request, string) *http.Response { return nil })
				begun := time.Now()
				var err error
				if call == "PutPart" {
					_, err = s.PutPart(t.Context(), "raw/x", "u", 1, sink.NewChunks(make([]byte, 20<<20)))
				} else {
					err = calls[call](t.Context(), s)
				}
				if err == nil || svc.count() != 1 || time.Since(begun) != want {
					t.Errorf("error %v after %d requests and %v, want %v", err, svc.count(), time.Since(begun), want)
				}
			})
		})
	}
}

// rotating gives out numbered credentials and counts how often it is asked.
type rotating struct{ asked int }

func (r *rotating) Retrieve(context.Context) (aws.Credentials, error) {
	r.asked++
	return aws.Credentials{AccessKeyID: fmt.Sprint("key", r.asked), SecretAccessKey: "secret", SessionToken: "token"}, nil
}

// TestExpiredToken rotates the credentials under each call: the service refuses
// the old ones with 400 ExpiredToken, and HEAD with a bare 400.
func TestExpiredToken(t *testing.T) {
	for call, do := range calls {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider := &rotating{}
				s, _ := with(t, s3.Config{Credentials: provider}, func(n int, r *http.Request, body string) *http.Response {
					switch {
					case strings.Contains(r.Header.Get("Authorization"), "Credential=key2/"):
						return fine(n, r, body)
					case r.Method == http.MethodHead:
						return reply(400, "")
					}
					return failure(400, "ExpiredToken")
				})
				if err := do(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				if provider.asked != 2 {
					t.Errorf("credentials were asked for %d times", provider.asked)
				}
			})
		})
	}
}

// TestConfigurationIsLoadedLate sees that the SDK's configuration is loaded by the
// first call, again if that failed, and then no more.
func TestConfigurationIsLoadedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loads := 0
		s, _ := with(t, s3.Config{AWS: func(context.Context) (aws.Config, error) {
			if loads++; loads == 1 {
				return aws.Config{}, errors.New("the metadata service is slow")
			}
			return aws.Config{}, nil
		}}, fine)
		if loads != 0 {
			t.Error("loaded before the first call")
		}
		for range 3 {
			if _, err := s.Head(t.Context(), "raw/x"); err != nil {
				t.Fatal(err)
			}
		}
		if loads != 2 {
			t.Errorf("loaded %d times, want 2", loads)
		}
	})
}
