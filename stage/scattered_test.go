package stage_test

import (
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// In a stream in which the service chooses the shard of a record no shard sees all
// records of a key: an Aggregate says so at once, a partial one does not mind.
func TestAggregateOfAScatteredStream(t *testing.T) {
	env := shardlake.NewEnv(t.Context(), shardlake.Host{Lane: "lane", Scattered: true})
	defer env.Close()
	w := window.Tumbling(time.Minute).Grace(0)
	key, seed, fold := func(string) string { return "" }, func(string, window.Span) int { return 0 }, func(*int, string) {}
	if _, err := stage.Aggregate(w, key, seed, fold)(env, &batches[int]{}); err == nil || !strings.Contains(err.Error(), "AggregatePartial") {
		t.Error(err)
	}
	if _, err := stage.Dedup(func(s string) string { return s }, time.Hour)(env, &batches[string]{}); err == nil {
		t.Error("copies that do not meet are looked for")
	}
	if _, err := stage.AggregatePartial(w, key, seed, fold)(env, &batches[int]{}); err != nil {
		t.Error(err)
	}
}
