package pipeline_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
)

// holed lists two lanes of the hash space with a gap between them.
type holed struct{ endless }

func (h holed) Lanes(ctx context.Context) (source.Listing, error) {
	l, err := h.endless.Lanes(ctx)
	l.Lanes[0].Range.To = shardlake.Hash{0x70}
	return l, err
}

// Hash keys that no lane reads are told once, if they stay for more than three
// rounds: a listing that is a little behind a reshard is no news.
func TestHoleThatStaysIsTold(t *testing.T) {
	const round = 5 * time.Second
	for d, want := range map[time.Duration]int{2*round + time.Second: 0, time.Hour: 1} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			p := pipeline.New(pipeline.Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Balance: round, Discover: round})
			p.Read(holed{endless{source.Lanes([]event{{}}, []event{{}}).At(event.when), time.Second}}).Into(sink.Discard[event]{})
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			if err := p.Run(ctx); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(log.String(), "what is written there is not read"); n != want {
				t.Errorf("told %d times in %v, want %d:\n%s", n, d, want, log.String())
			}
		})
	}
}
