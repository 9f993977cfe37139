package kinesis_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/sink/kinesis"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// Many small records become few, by shard, and one alone goes as it is.
func TestAggregates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 4)
		cfg := config(srv)
		cfg.Aggregate = true
		p := producer(t, cfg)
		put(t, p, 1, 0, 1)
		flush(t, p)
		if all := stream(t, srv); len(all) != 1 || all[0].packed != 1 || all[0].key != "key-0" {
			t.Errorf("one alone: %+v", all)
		}
		for i := range 20_000 {
			if err := p.Put(t.Context(), fmt.Sprint("user-", i%997), fmt.Appendf(nil, "%0100d", i)); err != nil {
				t.Fatal(err)
			}
		}
		large := make([]byte, 60<<10)
		if err := p.Put(t.Context(), "large", large); err != nil {
			t.Fatal(err)
		}
		flush(t, p)
		all := stream(t, srv)
		packs := 0.0
		for _, u := range all {
			packs += 1 / float64(u.packed)
			if !u.whole || u.key == "large" && u.packed != 1 {
				t.Fatalf("%+v", u)
			}
		}
		// 20,000 records of about 110 bytes in 50 KiB each.
		if len(all) != 20_002 || packs > 70 {
			t.Errorf("%d records in %.0f", len(all), packs)
		}
		if n := srv.Calls("ListShards", ""); n != 1 {
			t.Errorf("shards were listed %d times", n)
		}
	})
}

// When the stream is resharded, each record comes in an aggregate of which all
// belongs to its shard: then no reader drops it, whatever it does with others. The
// order of a key holds all the same, in the shards where it belongs.
func TestReshard(t *testing.T) {
	for name, reshard := range map[string]func(*testing.T, *kinesistest.Server, int){
		"split": func(t *testing.T, srv *kinesistest.Server, i int) {
			if _, _, err := srv.Split("out", fmt.Sprintf("shardId-%012d", i)); err != nil {
				t.Fatal(err)
			}
		},
		"merge": func(t *testing.T, srv *kinesistest.Server, i int) {
			// 0+1 is 4, 4+2 is 5, 5+3 is 6
			if i < 3 {
				a, b := fmt.Sprintf("shardId-%012d", 3+i), fmt.Sprintf("shardId-%012d", i+1)
				if i == 0 {
					a = "shardId-000000000000"
				}
				if _, err := srv.Merge("out", a, b); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		for _, fault := range []kinesistest.Fault{{Op: "ListShards", Nth: 2, Times: 3}, {Op: "PutRecords", Kind: kinesistest.LostAnswer, Nth: 4, Times: 2}, {Op: "PutRecords", Nth: 4, Times: 5, Shard: "shardId-000000000002"}} {
			t.Run(fmt.Sprint(name, " ", fault.Op, " ", fault.Kind), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := service(t, kinesistest.Config{}, 4)
					srv.Fault(fault)
					cfg := config(srv)
					cfg.Aggregate = true
					p := producer(t, cfg)
					for i := range 20 {
						put(t, p, 50, 3*i, 3)
						if i%4 == 2 {
							reshard(t, srv, i/4)
						}
						time.Sleep(300 * time.Millisecond)
					}
					flush(t, p)
					all := stream(t, srv)
					inOrder(t, slices.DeleteFunc(slices.Clone(all), func(u user) bool { return !u.fits }), 50, 60, true)
					safe := map[string]bool{}
					for _, u := range all {
						safe[u.key+" "+u.data] = safe[u.key+" "+u.data] || u.whole
					}
					for id, ok := range safe {
						if !ok {
							t.Errorf("%s came only beside records of another shard", id)
						}
					}
					if s := p.Stats(); s.Records != 3000 || (s.Misplaced > 0) != (name == "split") {
						t.Errorf("%+v", s)
					}
				})
			})
		}
	}
}

// Where the service chooses the shard, no record is taken for misplaced.
func TestAutoDistribution(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := kinesistest.New(kinesistest.Config{})
		client := sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: aws.String(srv.URL()), HTTPClient: srv.Client(),
			Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
		_, err := client.CreateStream(t.Context(), &sdk.CreateStreamInput{StreamName: aws.String("out"),
			StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}, RecordDistributionStrategy: types.RecordDistributionStrategyAuto})
		if err != nil {
			t.Fatal(err)
		}
		p := producer(t, kinesis.Config{Stream: "out", Client: client, Aggregate: true})
		put(t, p, 50, 0, 20)
		flush(t, p)
		if all := stream(t, srv); len(all) != 1000 || p.Stats().Misplaced != 0 {
			t.Errorf("%d records, %+v", len(all), p.Stats())
		}
	})
}

// A service that lists other shards than it puts to does not make records without
// end.
func TestMisplacedAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 2)
		cfg := config(srv)
		cfg.Aggregate = true
		cfg.HTTPClient = elsewhere{srv}
		p := producer(t, cfg)
		put(t, p, 20, 0, 2)
		if err := p.Flush(t.Context()); err == nil {
			t.Error("no error")
		}
		if n := len(stream(t, srv)); n > 40*10 {
			t.Errorf("%d records of 40", n)
		}
	})
}

func BenchmarkPut(b *testing.B) {
	for name, mode := range modes {
		b.Run(name, func(b *testing.B) {
			srv := kinesistest.New(kinesistest.Config{TrimOldest: true})
			if err := srv.CreateStream("out", 4); err != nil {
				b.Fatal(err)
			}
			cfg := config(srv)
			mode(&cfg)
			p, err := kinesis.NewProducer(cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			data := make([]byte, 200)
			keys := make([]string, 1000)
			for i := range keys {
				keys[i] = "key-" + strconv.Itoa(i)
			}
			b.SetBytes(200)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := p.Put(b.Context(), keys[i%1000], data); err != nil {
					b.Fatal(err)
				}
			}
			if err := p.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
