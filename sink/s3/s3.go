// Package s3 keeps a lake in a bucket of Amazon S3 or of a store that speaks its
// protocol: a sink.Store over multipart upload.
//
// Parts go up from the caller's memory without a copy, with a CRC32 in a header;
// the chunked encoding with trailers, which many compatible stores refuse, is
// never used. The store repeats what the service asks to repeat for about a
// minute, asks for new credentials when the present ones have expired, and says
// of everything else which call on which bucket was refused and what to change.
//
// The permissions that it needs on the bucket: s3:PutObject,
// s3:AbortMultipartUpload, s3:ListMultipartUploadParts and s3:GetObject on its
// objects, s3:ListBucket and s3:ListBucketMultipartUploads on itself, and with
// SSE-KMS kms:GenerateDataKey and kms:Decrypt on the key. s3:DeleteObject is needed
// for what lies below _shardlake/ if the store keeps large lease rows, and on all
// objects where a commit is to be repaired (pipeline.Config.Repair).
package s3

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/shardlake/shardlake/sink"
)

// Kind is what Store.Kind returns and what stored uploads carry.
const Kind = "s3"

// Store is a sink.Store in a bucket. It is safe for concurrent use. Its calls end
// with their context, or when the service has failed them for Config.RetryFor and
// the last attempt is over: an attempt takes at most 30 seconds, plus a second per
// MB of a part, and 5 minutes for Complete.
type Store struct {
	cfg Config
	err error // mistakes in cfg

	minPart int64 // the limit of the service; lower in tests
	now     func() time.Time
	sleep   func(context.Context, time.Duration) error

	mu     sync.Mutex
	client *awss3.Client // nil before the first call
	forget func()        // makes the credentials' cache ask again
	region string        // learnt from the service
}

var _ sink.Store = (*Store)(nil)

// Bucket returns the store in a bucket. It does no I/O and reads no files: the
// SDK's configuration is loaded by the first call. Mistakes in c show in Check
// and in every call, which fails with sink.ErrRefused.
func Bucket(c Config) *Store { return open(c, minPartSize) }

func open(c Config, minPart int64) *Store {
	s := &Store{cfg: c, minPart: minPart, now: time.Now, sleep: sleep}
	if err := c.check(minPart); err != nil {
		s.err = fmt.Errorf("s3: the configuration of bucket %q: %w: %w", c.Bucket, sink.ErrRefused, err)
	}
	if s.cfg.PartSize == 0 {
		s.cfg.PartSize = defaultPartSize
	}
	if s.cfg.RetryFor == 0 {
		s.cfg.RetryFor = defaultRetryFor
	}
	return s
}

// Kind returns "s3".
func (s *Store) Kind() string { return Kind }

// Check reports all mistakes of the Config.
func (s *Store) Check() error { return s.err }

// PartSize returns Config.PartSize or its default.
func (s *Store) PartSize() int { return s.cfg.PartSize }

// Folder returns the folder with the given prefix, such as "raw/clicks".
func (s *Store) Folder(prefix string) sink.Folder { return sink.Folder{Store: s, Prefix: prefix} }

// Location returns bucket, endpoint, region and expected owner as far as the
// Config gives them: "s3://lake?endpoint=https%3A%2F%2Fhost&region=eu-west-1". It
// does not depend on the environment.
func (s *Store) Location() string {
	q := make(url.Values)
	for k, v := range map[string]string{"endpoint": s.cfg.Endpoint, "region": s.cfg.Region, "owner": s.cfg.ExpectedBucketOwner} {
		if v != "" {
			q.Set(k, v)
		}
	}
	l := "s3://" + s.cfg.Bucket
	if len(q) > 0 {
		l += "?" + q.Encode()
	}
	return l
}

// At returns the store at a Location, which need not be this one, with all other
// settings of this store.
func (s *Store) At(location string) (sink.Store, error) {
	if location == s.Location() {
		return s, nil
	}
	rest, ok := strings.CutPrefix(location, "s3://")
	bucket, query, _ := strings.Cut(rest, "?")
	q, err := url.ParseQuery(query)
	if !ok || err != nil {
		return nil, fmt.Errorf("s3: %w: location %q of a stored upload is not s3://bucket with endpoint and region as a query", sink.ErrRefused, location)
	}
	c := s.cfg
	c.Bucket, c.Endpoint, c.Region, c.ExpectedBucketOwner = bucket, q.Get("endpoint"), q.Get("region"), q.Get("owner")
	o := open(c, s.minPart)
	o.now, o.sleep = s.now, s.sleep
	if o.err != nil {
		return nil, o.err
	}
	return o, nil
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
