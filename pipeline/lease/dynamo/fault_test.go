package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo/dynamotest"
)

// writes are all writes, each on a row on which it can succeed, with the operation
// of the service that carries it out.
var writes = []struct {
	name, op string
	prepare  func(*testing.T, lease.Store) lease.Row
	do       func(context.Context, lease.Store, lease.Row) error
}{
	{"create", "PutItem", func(*testing.T, lease.Store) lease.Row { return lease.Row{Lane: "a", Watermark: shardlake.Never} },
		func(ctx context.Context, s lease.Store, r lease.Row) error { return s.Create(ctx, r) }},
	{"acquire", "UpdateItem", fresh, func(ctx context.Context, s lease.Store, r lease.Row) error {
		got, err := s.Acquire(ctx, r, "me", "token")
		if err == nil && (got.Owner != "me" || got.Token != "token" || got.Fence != 1) {
			return fmt.Errorf("acquired %+v", got)
		}
		return err
	}},
	{"renew", "UpdateItem", mine, func(ctx context.Context, s lease.Store, r lease.Row) error {
		r.Known, r.Vitals.Records = 9, 5
		_, err := s.Renew(ctx, r)
		return err
	}},
	{"ask", "UpdateItem", mine, func(ctx context.Context, s lease.Store, r lease.Row) error { return s.Ask(ctx, r, "you") }},
	{"commit", "UpdateItem", mine, func(ctx context.Context, s lease.Store, r lease.Row) error {
		next := after(r, 10)
		next.CommitID = "cid"
		return s.Commit(ctx, next)
	}},
	{"clear", "UpdateItem", done, func(ctx context.Context, s lease.Store, r lease.Row) error { return s.Clear(ctx, r) }},
	{"mark", "UpdateItem", done, func(ctx context.Context, s lease.Store, r lease.Row) error { return s.Mark(ctx, r) }},
	{"release", "UpdateItem", done, func(ctx context.Context, s lease.Store, r lease.Row) error { return s.Release(ctx, r) }},
	{"delete", "DeleteItem", finished, func(ctx context.Context, s lease.Store, r lease.Row) error { return s.Delete(ctx, r) }},
}

func fresh(t *testing.T, s lease.Store) lease.Row { create(t, s, "a"); return get(t, s, "a") }
func mine(t *testing.T, s lease.Store) lease.Row  { create(t, s, "a"); return take(t, s, "a", "me") }
func done(t *testing.T, s lease.Store) lease.Row  { return commit(t, s, mine(t, s), 10) }
func finished(t *testing.T, s lease.Store) lease.Row {
	next := after(done(t, s), 0)
	next.Ended, next.Pending = true, nil
	check(t, s.Commit(t.Context(), next))
	return get(t, s, "a")
}

// normal is the row without what is random or counts attempts.
func normal(t *testing.T, s lease.Store) any {
	t.Helper()
	r, err := s.Get(t.Context(), "a")
	if errors.Is(err, lease.ErrNoRow) {
		return "no row"
	}
	check(t, err)
	r.Inc, r.Beat, r.State = "", 0, nil
	if r.Token != "token" {
		r.Token = ""
	}
	if r.CommitID != "cid" {
		r.CommitID = ""
	}
	if r.Repair != "" {
		r.Repair = "marked"
	}
	if r.Prev != nil {
		r.Prev.State = nil
	}
	return r
}

// TestFaults: whatever happens to a request once, the write succeeds within the
// call, and its effect is that of one write.
func TestFaults(t *testing.T) {
	for _, w := range writes {
		synctest.Test(t, func(t *testing.T) {
			quiet := opened(t, dynamotest.New(dynamotest.Config{}), dynamo.Config{})
			check(t, w.do(t.Context(), quiet, w.prepare(t, quiet)))
			want := normal(t, quiet)
			for _, f := range []dynamotest.Fault{
				{Kind: dynamotest.Throttle, Times: 3},
				{Kind: dynamotest.InternalError, Times: 4},
				{Kind: dynamotest.InternalErrorAfter, Times: 2},
				{Kind: dynamotest.CutBefore, Times: 2},
				{Kind: dynamotest.LostAnswer, Times: 3},
				{Kind: dynamotest.Slow, Delay: 7 * time.Second},
				{Kind: dynamotest.SlowAnswer, Delay: 7 * time.Second},
				{Kind: dynamotest.Hang},
				{Kind: dynamotest.ErrorAnswer, Code: "ReplicatedWriteConflictException"},
				{Kind: dynamotest.ErrorAnswer, Code: "ExpiredTokenException"},
			} {
				for _, old := range []bool{false, true} {
					srv := dynamotest.New(dynamotest.Config{NoOldOnFailure: old})
					s := opened(t, srv, dynamo.Config{})
					r := w.prepare(t, s)
					f.Op = w.op
					hit := srv.Fault(f)
					what := fmt.Sprintf("%s, %v", w.name, f.Kind)
					if err := w.do(t.Context(), s, r); err != nil {
						t.Errorf("%s: %v", what, err)
					}
					if hit.Hits() != max(1, f.Times) {
						t.Errorf("%s: %d hits", what, hit.Hits())
					}
					if got := normal(t, s); !reflect.DeepEqual(got, want) {
						t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
					}
				}
			}
		})
	}
}

// TestThrottledForLong: the call ends after RetryFor with an unknown outcome, which
// is not a loss, and may then be repeated.
func TestThrottledForLong(t *testing.T) {
	for _, w := range writes {
		synctest.Test(t, func(t *testing.T) {
			srv := dynamotest.New(dynamotest.Config{})
			s := opened(t, srv, dynamo.Config{RetryFor: 20 * time.Second})
			r := w.prepare(t, s)
			hit := srv.Fault(dynamotest.Fault{Times: dynamotest.Forever, Kind: dynamotest.Throttle})
			begun := time.Now()
			wantError(t, w.name, w.do(t.Context(), s, r), "throttled", "ProvisionedThroughputExceededException", table, `"a"`)
			if took := time.Since(begun); took > 20*time.Second || took < 10*time.Second {
				t.Errorf("%s: gave up after %v", w.name, took)
			}
			if n := hit.Hits(); n < 5 || n > 40 {
				t.Errorf("%s: %d attempts", w.name, n)
			}
			hit.Remove()
			check(t, w.do(t.Context(), s, r))
		})
	}
}

// TestUnknownThenRepeated: a caller that got an error repeats the very same call.
func TestUnknownThenRepeated(t *testing.T) {
	for _, w := range writes {
		synctest.Test(t, func(t *testing.T) {
			srv := dynamotest.New(dynamotest.Config{})
			s := opened(t, srv, dynamo.Config{RetryFor: time.Second})
			r := w.prepare(t, s)
			hit := srv.Fault(dynamotest.Fault{Op: w.op, Times: dynamotest.Forever, Kind: dynamotest.LostAnswer})
			wantError(t, w.name, w.do(t.Context(), s, r))
			if err := w.do(t.Context(), s, r); errors.Is(err, lease.ErrLost) {
				t.Errorf("%s, once more: %v", w.name, err) // the acquisition is found by a read
			}
			hit.Remove()
			if err := w.do(t.Context(), s, r); err != nil {
				t.Errorf("%s, repeated: %v", w.name, err)
			}
		})
	}
}

// TestContextEnds: a call whose context ends returns at once, and says why.
func TestContextEnds(t *testing.T) {
	for _, w := range writes {
		synctest.Test(t, func(t *testing.T) {
			srv := dynamotest.New(dynamotest.Config{})
			s := opened(t, srv, dynamo.Config{})
			r := w.prepare(t, s)
			srv.Fault(dynamotest.Fault{Op: w.op, Times: dynamotest.Forever, Kind: dynamotest.Hang})
			why := errors.New("the lease is over")
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
			defer cancel()
			begun := time.Now()
			err := w.do(ctx, s, r)
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, why) || errors.Is(err, lease.ErrLost) || time.Since(begun) != time.Second {
				t.Errorf("%s: %v after %v", w.name, err, time.Since(begun))
			}
			ended, stop := context.WithCancel(t.Context())
			stop()
			if err := w.do(ended, s, r); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", w.name, err)
			}
			synctest.Wait()
		})
	}
}

// TestDenied: the error names what to allow, and is not repeated.
func TestDenied(t *testing.T) {
	for _, w := range writes {
		srv := dynamotest.New(dynamotest.Config{})
		s := opened(t, srv, dynamo.Config{})
		r := w.prepare(t, s)
		hit := srv.Fault(dynamotest.Fault{Op: w.op, Times: dynamotest.Forever, Kind: dynamotest.AccessDenied})
		wantError(t, w.name, w.do(t.Context(), s, r), "allow dynamodb:"+w.op+" on arn:aws:dynamodb:*:*:table/"+table, `"a"`)
		if hit.Hits() != 1 {
			t.Errorf("%s: %d attempts", w.name, hit.Hits())
		}
	}
	srv := dynamotest.New(dynamotest.Config{})
	s := over(srv, dynamo.Config{})
	for _, op := range []string{"DescribeTable", "CreateTable", "Scan"} {
		hit := srv.Fault(dynamotest.Fault{Op: op, Kind: dynamotest.AccessDenied})
		wantError(t, op, s.Open(t.Context()), "allow dynamodb:"+op, table)
		hit.Remove()
	}
	check(t, s.Open(t.Context()))
}

// TestTableGone, case C4: the lane stops at once, loudly, and nothing is made anew.
func TestTableGone(t *testing.T) {
	for _, w := range writes {
		srv := dynamotest.New(dynamotest.Config{})
		s := opened(t, srv, dynamo.Config{})
		r := w.prepare(t, s)
		srv.DropTable(table)
		err := w.do(t.Context(), s, r)
		switch w.name {
		case "delete": // it is gone
			check(t, err)
		default:
			if !errors.Is(err, lease.ErrNoRow) || !strings.Contains(err.Error(), "restore it from a backup") {
				t.Errorf("%s: %v, want ErrNoRow and a remedy", w.name, err)
			}
		}
		if len(srv.Tables()) != 0 {
			t.Errorf("%s: made a table", w.name)
		}
	}
	srv := dynamotest.New(dynamotest.Config{})
	s := opened(t, srv, dynamo.Config{})
	srv.DropTable(table)
	_, err := s.List(t.Context())
	wantError(t, "list", err, "Scan of table "+table, "restore it from a backup")
}

// TestRowGone, case C4: the same for one row.
func TestRowGone(t *testing.T) {
	for _, w := range writes {
		if w.name == "create" {
			continue
		}
		srv := dynamotest.New(dynamotest.Config{})
		s := opened(t, srv, dynamo.Config{})
		r := w.prepare(t, s)
		srv.Remove(table, "a")
		err := w.do(t.Context(), s, r)
		if w.name == "delete" {
			check(t, err)
		} else if !errors.Is(err, lease.ErrNoRow) {
			t.Errorf("%s: %v, want ErrNoRow", w.name, err)
		}
		if len(srv.Items(table)) != 0 {
			t.Errorf("%s: made a row", w.name)
		}
	}
}

// TestLate: a write that arrives long after its sender has gone changes nothing
// that somebody else has done since.
func TestLate(t *testing.T) {
	for _, w := range writes {
		synctest.Test(t, func(t *testing.T) {
			srv := dynamotest.New(dynamotest.Config{})
			s := opened(t, srv, dynamo.Config{RetryFor: time.Second})
			r := w.prepare(t, s)
			held := srv.Fault(dynamotest.Fault{Op: w.op, Times: dynamotest.Forever, Kind: dynamotest.Late})
			wantError(t, w.name, w.do(t.Context(), s, r))
			held.Remove()
			if w.name == "create" {
				create(t, s, "a")
			}
			// Somebody else has the lane, and commits.
			next := after(take(t, s, "a", "you"), 20)
			check(t, s.Commit(t.Context(), next))
			want := get(t, s, "a")
			for _, err := range held.Release() {
				if e, ok := errors.AsType[*dynamotest.Error](err); !ok || e.Code != "ConditionalCheckFailedException" {
					t.Errorf("%s, late: %v, want a condition that fails", w.name, err)
				}
			}
			if got := get(t, s, "a"); !reflect.DeepEqual(got, want) {
				t.Errorf("%s, late:\n got %+v\nwant %+v", w.name, got, want)
			}
		})
	}
}

// TestLateCommit: the answer of a commit is lost for a long time. Repeating it is
// the only thing its owner may do, and then it is there once.
func TestLateCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := dynamotest.New(dynamotest.Config{})
		s := opened(t, srv, dynamo.Config{RetryFor: time.Second})
		next := after(mine(t, s), 10)
		held := srv.Fault(dynamotest.Fault{Op: "UpdateItem", Times: dynamotest.Forever, Kind: dynamotest.Late})
		wantError(t, "commit", s.Commit(t.Context(), next))
		held.Remove()
		errs := held.Release()
		if len(errs) < 2 || errs[0] != nil || slices.Contains(errs[1:], nil) {
			t.Errorf("late commits: %v, want one success", errs)
		}
		want := get(t, s, "a")
		check(t, s.Commit(t.Context(), next))
		if got := get(t, s, "a"); got.Number != 1 || !reflect.DeepEqual(got, want) {
			t.Errorf("repeated: %+v, want %+v", got, want)
		}
	})
}

// renewing hands out new keys each time, and counts.
type renewing struct{ asked int }

func (r *renewing) Retrieve(context.Context) (aws.Credentials, error) {
	r.asked++
	return aws.Credentials{AccessKeyID: fmt.Sprint("key-", r.asked), SecretAccessKey: "secret", CanExpire: true, Expires: time.Now().Add(time.Hour)}, nil
}

// TestExpiredToken: credentials that the service takes for expired are asked anew
// within the call (case G5).
func TestExpiredToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, keys := dynamotest.New(dynamotest.Config{}), &renewing{}
		s := dynamo.Table(dynamo.Config{Table: table, Region: "us-east-1", HTTPClient: srv.Client(), Credentials: keys})
		check(t, s.Open(t.Context()))
		before := keys.asked
		srv.Fault(dynamotest.Fault{Kind: dynamotest.ErrorAnswer, Code: "ExpiredTokenException", Message: "The security token included in the request is expired"})
		create(t, s, "a")
		if keys.asked != before+1 {
			t.Errorf("credentials were asked %d times, want %d", keys.asked, before+1)
		}
		srv.Fault(dynamotest.Fault{Kind: dynamotest.ErrorAnswer, Code: "UnrecognizedClientException"})
		_, err := s.Get(t.Context(), "a")
		wantError(t, "get", err, "the credentials are not valid")
	})
}

// TestRowGoneBetween: no item comes with a failed condition, and the row is gone by
// the time it is looked for.
func TestRowGoneBetween(t *testing.T) {
	srv := dynamotest.New(dynamotest.Config{NoOldOnFailure: true})
	s := opened(t, srv, dynamo.Config{})
	r := mine(t, s)
	take(t, s, "a", "you")
	srv.Fault(dynamotest.Fault{Op: "GetItem", Kind: dynamotest.Pass, Do: func() { srv.Remove(table, "a") }})
	if err := s.Commit(t.Context(), after(r, 10)); !errors.Is(err, lease.ErrNoRow) {
		t.Errorf("commit: %v, want ErrNoRow", err)
	}
}
