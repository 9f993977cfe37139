package kinesis_test

import (
	"context"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/source/kinesis"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// aggregate packs values under one key, as the KPL does.
func aggregate(key string, values ...string) []byte {
	m := append([]byte{0x0a, byte(len(key))}, key...)
	for _, v := range values {
		r := binary.AppendUvarint([]byte{0x08, 0, 0x1a}, uint64(len(v)))
		r = append(r, v...)
		m = append(binary.AppendUvarint(append(m, 0x1a), uint64(len(r))), r...)
	}
	sum := md5.Sum(m)
	return append(append([]byte{0xF3, 0x89, 0x9A, 0xC2}, m...), sum[:]...)
}

// record is what a reader sees of a shardlake.Record.
type record struct {
	Sub     int
	Partial bool
	Key     string
	Data    string
}

// fetchAll reads a shard to its tip, and checks that positions rise.
func fetchAll(t *testing.T, cfg kinesis.Config, shard int, after shardlake.Position) (all []shardlake.Record, through shardlake.Position, counts source.Counts) {
	t.Helper()
	src := kinesis.Source(cfg, codec.JSON[click], nil)
	l, err := src.Lanes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f, err := src.Open(l.Lanes[shard], source.Start{After: after, Begin: l.Begin})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for last := after; ; {
		c, err := f.Fetch(ctx)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, source.ErrShardEnd) {
			t.Fatal(err)
		}
		if len(c.Records) > 10_000 {
			t.Errorf("a chunk of %d records", len(c.Records))
		}
		for _, r := range c.Records {
			if r.Pos.Compare(last) <= 0 {
				t.Fatalf("%v behind %v", r.Pos, last)
			}
			last = r.Pos
		}
		all, counts = append(all, c.Records...), counts.Plus(c.Counts)
		if !c.Through.IsStart() {
			through = c.Through
		}
		if err != nil || c.Tip > 0 {
			return all, through, counts
		}
	}
}

func seenOf(all []shardlake.Record) (out []record) {
	for _, r := range all {
		out = append(out, record{r.Pos.Sub, r.Pos.Partial, r.Key, string(r.Data)})
	}
	return out
}

const (
	vector2 = "f3899ac20a03706b310a03706b3212013012273334303238323336363932303933383436333436333337343630373433313736383231313435351a0d080010001a077b226e223a317d1a0d080110011a077b226e223a327d1a0408001a00c4a35bb1b39dde0e4b778c013292b8f7"
	emptied = "f3899ac20a01610da6f998a7e312b8f5235eeeb285497b" // a key and no record
	torn    = "f3899ac20affbeeb5839c579a36b75624d4a8de682f7"   // its digest is right
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func putRaw(t *testing.T, srv *kinesistest.Server, key string, data []byte) shardlake.Position {
	t.Helper()
	seq, _, err := srv.Put("clicks", key, data)
	if err != nil {
		t.Fatal(err)
	}
	return shardlake.Position{Seq: seq}
}

func TestAggregatesAreTakenApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		putRaw(t, srv, "plain", []byte("first"))
		putRaw(t, srv, "a", aggregate("k", "x", "", "z"))
		putRaw(t, srv, "a", unhex(t, torn))
		end := putRaw(t, srv, "a", unhex(t, emptied))
		all, through, counts := fetchAll(t, config(srv), 0, shardlake.Position{})
		want := []record{
			{0, false, "plain", "first"},
			{0, true, "k", "x"}, {1, true, "k", ""}, {2, false, "k", "z"},
			{0, false, "a", string(unhex(t, torn))},
		}
		if got := seenOf(all); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
		// The position goes on over a record that holds nothing.
		if through != end || counts != (source.Counts{Aggregates: 2, Broken: 1}) {
			t.Errorf("through %v, want %v; %+v", through, end, counts)
		}
		for i, r := range all {
			if r.Arrived == 0 || r.Arrived != all[0].Arrived && i == 1 {
				t.Errorf("record %d arrived at %v", i, r.Arrived)
			}
		}
		// From behind any of them the rest comes, and nothing twice.
		for i := range all {
			rest, _, _ := fetchAll(t, config(srv), 0, all[i].Pos)
			if !reflect.DeepEqual(seenOf(rest), want[i+1:]) && len(want[i+1:])+len(rest) > 0 {
				t.Errorf("behind %v: %+v", all[i].Pos, seenOf(rest))
			}
		}
		// As they are, on request.
		cfg := config(srv)
		cfg.RawAggregates = true
		if raw, _, counts := fetchAll(t, cfg, 0, shardlake.Position{}); len(raw) != 4 || counts != (source.Counts{}) {
			t.Errorf("%+v, %+v", seenOf(raw), counts)
		}
	})
}

// A position from inside of a record is one only for who takes records apart.
func TestPositionInsideOfAnAggregate(t *testing.T) {
	for _, raw := range []bool{false, true} {
		cfg := config(service(t, kinesistest.Config{}, 1))
		cfg.RawAggregates = raw
		src := kinesis.Source(cfg, codec.JSON[click], nil)
		for _, sub := range []int{0, 3} {
			_, err := src.Open(source.Lane{ID: "shardId-000000000000"}, source.Start{After: shardlake.Position{Seq: "1", Sub: sub, Partial: true}})
			if (err != nil) != (raw && sub > 0) {
				t.Errorf("raw %v, sub-sequence number %d: %v", raw, sub, err)
			}
		}
	}
}

// KPL records that straddle a reshard: kept by default, filtered by their own hash
// on request, and never filtered where the service chooses the shard.
func TestHashRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := []string{"pk2", "pk1"} // in the lower and the upper half
		srv := service(t, kinesistest.Config{}, 2)
		for _, k := range keys {
			putRaw(t, srv, k, unhex(t, vector2))
		}
		all := []record{{0, true, "pk1", `{"n":1}`}, {1, true, "pk2", `{"n":2}`}, {2, false, "pk1", ""}}
		for shard, mine := range [][]record{all[:1], all[1:]} {
			got, _, counts := fetchAll(t, config(srv), shard, shardlake.Position{})
			if !reflect.DeepEqual(seenOf(got), all) || counts.Misplaced != 0 {
				t.Errorf("shard %d keeps %+v, %+v", shard, seenOf(got), counts)
			}
			cfg := config(srv)
			cfg.FilterHashRange = true
			got, through, counts := fetchAll(t, cfg, shard, shardlake.Position{})
			if !reflect.DeepEqual(seenOf(got), mine) || counts.Misplaced != int64(3-len(mine)) || through.Partial || through.Sub != 2 {
				t.Errorf("shard %d filters to %+v, through %v, %+v", shard, seenOf(got), through, counts)
			}
		}
		// Where the service distributes records itself, a hash says nothing. The stream
		// is made that way: no call changes it here.
		client := awskinesis.New(awskinesis.Options{Region: "us-east-1", BaseEndpoint: aws.String(srv.URL()), HTTPClient: srv.Client(), Credentials: config(srv).Credentials})
		if err := srv.DeleteStream("clicks"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := client.CreateStream(t.Context(), &awskinesis.CreateStreamInput{StreamName: aws.String("clicks"),
			StreamModeDetails:          &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand},
			RecordDistributionStrategy: types.RecordDistributionStrategyAuto}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		var shard int
		_, name, err := srv.Put("clicks", "any", unhex(t, vector2))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscanf(name, "shardId-%d", &shard); err != nil {
			t.Fatal(err)
		}
		cfg := config(srv)
		cfg.FilterHashRange = true
		if got, _, counts := fetchAll(t, cfg, shard, shardlake.Position{}); !reflect.DeepEqual(seenOf(got), all) {
			t.Errorf("of a stream without hash ranges it keeps %+v, %+v", seenOf(got), counts)
		}
		if l, err := kinesis.Source(config(srv), codec.Raw, nil).Lanes(t.Context()); err != nil || !l.Scattered {
			t.Errorf("nobody is told that keys are scattered: %v, %v", l.Scattered, err)
		}
	})
}

// A record of many user records is handed out in pieces, from behind any of which
// reading goes on.
func TestLargeAggregate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		values := make([]string, 25_000)
		for i := range values {
			values[i] = fmt.Sprint(i)
		}
		putRaw(t, srv, "a", aggregate("k", values...))
		putRaw(t, srv, "a", []byte("last"))
		all, _, _ := fetchAll(t, config(srv), 0, shardlake.Position{})
		if len(all) != 25_001 {
			t.Fatalf("%d records", len(all))
		}
		for i, r := range all[:25_000] {
			if string(r.Data) != values[i] || r.Pos.Sub != i || r.Pos.Partial != (i < 24_999) {
				t.Fatalf("record %d: %v %v %q", i, r.Pos, r.Pos.Partial, r.Data)
			}
		}
		for _, at := range []int{0, 9_999, 10_000, 24_998, 24_999} {
			rest, _, _ := fetchAll(t, config(srv), 0, all[at].Pos)
			if len(rest) != 25_000-at || string(rest[len(rest)-1].Data) != "last" {
				t.Errorf("behind %v: %d records", all[at].Pos, len(rest))
			}
		}
	})
}

// The shard ends with the last piece of its last answer.
func TestAggregateAtTheEndOfAShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		putRaw(t, srv, "a", aggregate("k", strings.Split(strings.Repeat("x", 15_000), "")...))
		if _, _, err := srv.Split("clicks", "shardId-000000000000"); err != nil {
			t.Fatal(err)
		}
		if all, _, _ := fetchAll(t, config(srv), 0, shardlake.Position{}); len(all) != 15_000 {
			t.Errorf("%d records", len(all))
		}
	})
}
