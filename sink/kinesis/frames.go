package kinesis

import (
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/hop"
)

// Kind of what Regroup lists in a commit.
func (s *Frames) Kind() string {
	if s.cfg.Stream == "" {
		return "kinesis-frames"
	}
	return "kinesis-frames:" + s.cfg.Stream
}

// Publish sends the frames, those of a bucket one after another, and returns when all
// are acknowledged. Repeats do no harm: the reader knows what it has taken.
func (s *Frames) Publish(ctx context.Context, p shardlake.Pending) error {
	var out sealed
	if err := json.Unmarshal(p.Data, &out); err != nil {
		return fmt.Errorf("kinesis: the frames that a commit lists are damaged: %w", err)
	}
	r := s.remote(out)
	if err := r.byKey(ctx, "publish"); err != nil {
		return err
	}
	send := newProducer(r, "publish "+out.Stream)
	defer send.Close()
	for _, b := range out.Frames {
		f, err := hop.Decode(b)
		if err != nil {
			return fmt.Errorf("kinesis: the frames that a commit lists are damaged: %w", err)
		}
		key := fmt.Sprintf("bucket-%d", f.Bucket)
		if err := send.put(ctx, key, hop.Start(f.Bucket, f.Of).String(), b); err != nil {
			return err
		}
	}
	return send.Flush(ctx)
}

// remote is the stream that frames go to, wherever that is.
func (s *Frames) remote(to sealed) *remote {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := strings.Join([]string{to.Stream, to.Region, to.Endpoint}, "\x00")
	r := s.remotes[id]
	if r == nil {
		cfg := s.cfg
		if cfg.Stream != to.Stream || cfg.Region != to.Region || cfg.Endpoint != to.Endpoint {
			cfg.Client = nil
		}
		cfg.Stream, cfg.Region, cfg.Endpoint, cfg.Linger = to.Stream, to.Region, to.Endpoint, -1
		if r = newRemote(cfg); s.remotes == nil {
			s.remotes = map[string]*remote{}
		}
		s.remotes[id] = r
	}
	return r
}

// byKey refuses a stream in which the service chooses the shard of a record.
func (r *remote) byKey(ctx context.Context, who string) error {
	l, err := r.layoutSince(ctx, who, time.Time{})
	if err != nil {
		return err
	}
	if l.auto {
		return errors.New("kinesis: the service chooses the shard of each record of " + r.cfg.Stream + " (RecordDistributionStrategy is AUTO), and frames must come to the shard of their bucket: use a stream that goes by partition key")
	}
	return nil
}
