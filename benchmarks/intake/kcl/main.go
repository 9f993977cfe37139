// Command kcl is the side of github.com/vmware/vmware-go-kcl-v2 in the intake
// benchmark. It is a program of its own because the other library of that benchmark
// registers the same protobuf message.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os"
	"sync"
	"sync/atomic"

	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/checkpoint"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/partition"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/worker"
	"github.com/vmware/vmware-go-kcl-v2/logger"

	"github.com/shardlake/shardlake/benchmarks/intake/round"
)

func main() {
	var r round.Round
	profile := r.Flags(flag.CommandLine)
	flag.Parse()
	if err := r.Main(context.Background(), map[string]round.Side{"kcl": kcl}, *profile, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// syncMillis is how often the library looks for shards in milliseconds, give or take a
// half. It takes one at a time, so its default of a minute would be the run's length.
const syncMillis = 50

// kcl is github.com/vmware/vmware-go-kcl-v2. It keeps to five calls and 2 MB a second
// by itself. Its checkpoints are in memory, not in DynamoDB; one is set after each
// answer, as its examples do.
func kcl(ctx context.Context, j *round.Job) (_ round.Outcome, err error) {
	c, err := round.Client(ctx)
	if err != nil {
		return round.Outcome{}, err
	}
	ids, err := j.IDs(ctx, c)
	if err != nil {
		return round.Outcome{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	own := &processors{ctx: ctx, failed: &j.Failed, shards: map[string]*kclShard{}}
	for _, id := range ids {
		own.shards[id] = &kclShard{ready: make(chan struct{}), done: make(chan error, 1)}
	}
	cfg := config.NewKinesisClientLibConfig("benchmark", j.Stream, "us-east-1", "worker").
		WithInitialPositionInStream(config.TRIM_HORIZON).WithShardSyncIntervalMillis(syncMillis).WithLogger(silent{})
	w := worker.NewWorker(own, cfg).WithKinesis(c).WithCheckpointer(&points{at: map[string]string{}})
	if err := w.Start(); err != nil {
		cancel()
		return round.Outcome{}, err
	}
	defer func() { cancel(); w.Shutdown() }()
	return j.Each(ids, func(s *round.Shard) error {
		p := own.shards[s.ID]
		p.work = s
		close(p.ready)
		select {
		case err := <-p.done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// processors makes them for the library.
type processors struct {
	ctx    context.Context
	failed *atomic.Int64
	shards map[string]*kclShard
}

// CreateProcessor makes one that does not know its shard yet.
func (p *processors) CreateProcessor() interfaces.IRecordProcessor { return &processor{of: p} }

// kclShard is the work of a shard. The library does it, with one processor after the
// other: one whose call fails is given up, and the next begins at the checkpoint.
type kclShard struct {
	ready chan struct{} // closed when work is there
	done  chan error
	work  *round.Shard
	begun bool
	over  bool
}

// processor does the work of one shard.
type processor struct {
	of    *processors
	shard *kclShard
}

// Initialize says which shard it is.
func (p *processor) Initialize(in *interfaces.InitializationInput) {
	p.shard = p.of.shards[in.ShardId]
	if p.shard.begun {
		p.of.failed.Add(1)
	}
	p.shard.begun = true
}

// ProcessRecords does the work for an answer.
func (p *processor) ProcessRecords(in *interfaces.ProcessRecordsInput) {
	s := p.shard
	if s.over || len(in.Records) == 0 {
		return
	}
	select {
	case <-s.ready:
	case <-p.of.ctx.Done():
		s.over = true
		return
	}
	err := s.work.All(p.of.ctx, len(in.Records), func(i int) []byte { return in.Records[i].Data })
	if err == nil {
		err = in.Checkpointer.Checkpoint(in.Records[len(in.Records)-1].SequenceNumber)
	}
	if s.over = err != nil || s.work.Done(); s.over {
		s.done <- err
	}
}

// Shutdown has nothing to do: what is done has been told.
func (p *processor) Shutdown(*interfaces.ShutdownInput) {}

// points is a checkpoint.Checkpointer in memory, for one worker.
type points struct {
	mu sync.Mutex
	at map[string]string // sequence numbers by shard
}

var errOneWorker = errors.New("there is one worker")

// Init has nothing to do.
func (p *points) Init() error { return nil }

// GetLease gives every shard to who asks.
func (p *points) GetLease(s *partition.ShardStatus, worker string) error {
	s.SetLeaseOwner(worker)
	return nil
}

// CheckpointSequence keeps a shard's position.
func (p *points) CheckpointSequence(s *partition.ShardStatus) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at[s.ID] = s.GetCheckpoint()
	return nil
}

// FetchCheckpoint puts what is kept into a shard's status.
func (p *points) FetchCheckpoint(s *partition.ShardStatus) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.at[s.ID]
	if !ok {
		return checkpoint.ErrSequenceIDNotFound
	}
	s.SetCheckpoint(at)
	return nil
}

// RemoveLeaseInfo forgets a shard.
func (p *points) RemoveLeaseInfo(id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.at, id)
	return nil
}

// RemoveLeaseOwner has nothing to do.
func (p *points) RemoveLeaseOwner(string) error { return nil }

// GetLeaseOwner is not called without lease stealing.
func (p *points) GetLeaseOwner(string) (string, error) { return "", errOneWorker }

// ListActiveWorkers is not called without lease stealing.
func (p *points) ListActiveWorkers(map[string]*partition.ShardStatus) (map[string][]*partition.ShardStatus, error) {
	return nil, errOneWorker
}

// ClaimShard is not called without lease stealing.
func (p *points) ClaimShard(*partition.ShardStatus, string) error { return errOneWorker }

// silent drops what the library says.
type silent struct{}

// Debugf is silent.
func (silent) Debugf(string, ...any) {}

// Infof is silent.
func (silent) Infof(string, ...any) {}

// Warnf is silent.
func (silent) Warnf(string, ...any) {}

// Errorf is silent.
func (silent) Errorf(string, ...any) {}

// Fatalf is silent.
func (silent) Fatalf(string, ...any) {}

// Panicf is silent.
func (silent) Panicf(string, ...any) {}

// WithFields is silent.
func (s silent) WithFields(logger.Fields) logger.Logger { return s }
