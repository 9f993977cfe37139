package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo/dynamotest"
	"github.com/shardlake/shardlake/pipeline/pipelinetest"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/s3/s3test"
	"github.com/shardlake/shardlake/source"
)

// A task is told to stop with fifty open files, and a bucket that takes 1 MB a
// second (case G2). It ends within its budget, and has given up its lease; the next
// owner starts at once, and no row is missing or there twice.
func TestStopWithManyOpenFilesAndASlowBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const files, each, budget = 50, 12, 20 * time.Second
		srv := s3test.New(s3test.Config{Buckets: []string{"lake"}, Now: time.Now})
		rows := dynamotest.New(dynamotest.Config{})
		noise := text(1 << 20)
		var in []wide
		for n := range files * each {
			at := n * 7919 % (len(noise) - 60_000)
			in = append(in, wide{fmt.Sprintf("p%02d", n%files), int64(n), noise[at : at+60_000]})
		}
		line := make(chan struct{}, 1) // one at a time
		slow := srv.Fault(s3test.Fault{Op: "UploadPart", Times: -1, Func: func(ctx context.Context, c *s3test.Call) error {
			select {
			case line <- struct{}{}:
				defer func() { <-line }()
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case <-time.After(600 * time.Millisecond): // a part of 0.7 MB
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
		run := func(stop time.Duration) (time.Duration, error) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := pipeline.New(pipeline.Config{CommitEvery: time.Hour, StopTimeout: budget, Leases: dynamo.Table(dynamo.Config{
				Table: "wide", Region: "us-east-1", Credentials: s3test.AnyCredentials(), HTTPClient: rows.Client()})})
			to := bucket(srv).Folder("wide").By(sink.Field("part"))
			to.MaxOpen = files
			p.Read(paced{source.Values(in...).Fetching(10)}).Write(to, pipelinetest.JSON)
			var told time.Time
			time.AfterFunc(stop, func() { told = time.Now(); cancel() })
			err := p.Run(ctx)
			return time.Since(told), err
		}
		took, err := run(30 * time.Second)
		if err == nil || took > budget+5*time.Second {
			t.Errorf("it took %v to stop: %v", took, err)
		}
		if n := len(srv.Objects("lake", "")); n != 0 {
			t.Errorf("%d files are visible, though 30 MB cannot be stored in time", n)
		}
		slow.Remove()
		if _, err := run(5 * time.Minute); err != nil {
			t.Fatal(err)
		}
		got := map[int64]int{}
		for key, o := range srv.Objects("lake", "wide/") {
			rows, err := pipelinetest.Lines[wide](o.Body)
			if err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			for _, r := range rows {
				got[r.N]++
			}
		}
		for n := range in {
			if got[int64(n)] != 1 {
				t.Errorf("row %d is there %d times", n, got[int64(n)])
			}
		}
		if left := srv.Uploads("lake"); len(left) != 0 {
			t.Errorf("%d uploads are left over", len(left))
		}
	})
}

// paced never ends, as a stream does not.
type paced struct{ *source.Slices[wide] }

func (p paced) Open(l source.Lane, from source.Start) (source.Fetcher, error) {
	f, err := p.Slices.Open(l, from)
	return &pacedFetcher{f}, err
}

type pacedFetcher struct{ source.Fetcher }

func (f *pacedFetcher) Fetch(ctx context.Context) (source.Chunk, error) {
	select {
	case <-time.After(200 * time.Millisecond):
	case <-ctx.Done():
		return source.Chunk{}, ctx.Err()
	}
	c, _ := f.Fetcher.Fetch(ctx) // at the end of the rows there are none for now
	return c, nil
}
