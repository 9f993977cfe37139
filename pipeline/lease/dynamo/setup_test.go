package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo/dynamotest"
)

const table = "clicks-to-lake"

// TestMain keeps the SDK from what this machine is configured for.
func TestMain(m *testing.M) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			if err := os.Unsetenv(name); err != nil {
				panic(err)
			}
		}
	}
	for name, v := range map[string]string{"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true"} {
		if err := os.Setenv(name, v); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// over returns a store over a server in this process.
func over(srv *dynamotest.Server, c dynamo.Config) *dynamo.Store {
	if c.Table == "" {
		c.Table = table
	}
	if c.Client == nil {
		c.Region = "us-east-1"
		c.Credentials = static{}
		if c.HTTPClient == nil {
			c.HTTPClient = srv.Client()
		}
	}
	return dynamo.Table(c)
}

// opened is over, ready for use.
func opened(t *testing.T, srv *dynamotest.Server, c dynamo.Config) *dynamo.Store {
	t.Helper()
	s := over(srv, c)
	check(t, s.Open(t.Context()))
	return s
}

// blobs are lease.Blobs in memory, which count what is read, and fail on demand.
type blobs struct {
	mu   sync.Mutex
	m    map[string]string
	fail map[string]error // by operation: "put", "get", "delete"
	puts int
	gets int
}

func newBlobs() *blobs { return &blobs{m: map[string]string{}, fail: map[string]error{}} }

func (b *blobs) PutBlob(_ context.Context, key string, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.puts++
	if err := b.fail["put"]; err != nil {
		return err
	}
	if old, ok := b.m[key]; ok && old != string(data) && !strings.HasPrefix(key, "_shardlake/head/") {
		return fmt.Errorf("the object %s was replaced by another", key)
	}
	b.m[key] = string(data)
	return nil
}

func (b *blobs) GetBlob(_ context.Context, key string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gets++
	if err := b.fail["get"]; err != nil {
		return nil, err
	}
	s, ok := b.m[key]
	if !ok {
		return nil, fmt.Errorf("get %s: %w", key, lease.ErrNoBlob)
	}
	return []byte(s), nil
}

func (b *blobs) DeleteBlob(_ context.Context, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.fail["delete"]; err != nil {
		return err
	}
	delete(b.m, key)
	return nil
}

// keys lists the objects but those below head/.
func (b *blobs) keys() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(b.m)), func(k string) bool { return strings.HasPrefix(k, "_shardlake/head/") })
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantLost(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, lease.ErrLost) {
		t.Errorf("%s: %v, want ErrLost", what, err)
	}
}

// wantError wants an error that says all of the words and is no ErrLost.
func wantError(t *testing.T, what string, err error, words ...string) {
	t.Helper()
	if err == nil || errors.Is(err, lease.ErrLost) {
		t.Errorf("%s: %v, want an error that is not ErrLost", what, err)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %q does not say %q", what, err, w)
		}
	}
}

func create(t *testing.T, s lease.Store, lane string) {
	t.Helper()
	check(t, s.Create(t.Context(), lease.Row{Lane: lane, Begin: shardlake.Never, Watermark: shardlake.Never}))
}

func get(t *testing.T, s lease.Store, lane string) lease.Row {
	t.Helper()
	r, err := s.Get(t.Context(), lane)
	check(t, err)
	return r
}

func take(t *testing.T, s lease.Store, lane, owner string) lease.Row {
	t.Helper()
	r, err := s.Acquire(t.Context(), get(t, s, lane), owner, lease.NewID())
	check(t, err)
	return r
}

// after is the commit that follows r, with a state of some bytes.
func after(r lease.Row, state int) lease.Row {
	r.Number++
	r.CommitID = lease.NewID()
	r.Pos = shardlake.Position{Seq: fmt.Sprint(r.Number * 10)}
	r.Watermark = shardlake.Instant(r.Number)
	r.State = map[string][]byte{"fold": []byte(strings.Repeat(r.CommitID[:1], state))}
	r.Pending = []shardlake.Pending{{Kind: "dir", Data: fmt.Appendf(nil, `{"file":%d}`, r.Number)}}
	return r
}

func commit(t *testing.T, s lease.Store, r lease.Row, state int) lease.Row {
	t.Helper()
	check(t, s.Commit(t.Context(), after(r, state)))
	return get(t, s, r.Lane)
}

// static are credentials that anybody may know.
type static struct{}

func (static) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "key", SecretAccessKey: "secret"}, nil
}
