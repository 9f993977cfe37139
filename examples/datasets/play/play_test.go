package main

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// lines are good records, one or more a set.
var lines = map[string][]string{
	"web-access": {
		`{"time":"2015-05-17T10:05:03Z","ip":"10.0.0.1","user":null,"method":"GET","path":"/","proto":"HTTP/1.1","status":200,"bytes":35,"referer":null,"agent":"a"}`,
	},
	"web-access-log": {`10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /index.html HTTP/1.1" 200 35 "-" "a"`},
	"online-retail": {
		`{"InvoiceNo":536365,"StockCode":"85123A","Description":null,"Quantity":6,"InvoiceDate":"2010-12-01 08:26:00","UnitPrice":2.55,"CustomerID":17850.0,"Country":"France"}`,
	},
	"machine-sensors": {`{"sensor":"plant/a","time":"2014-01-07 02:55:00","value":69.88,"n":0}`},
	"airport-weather": {`EWR,2013,12,30,18,39.02,26.06,59.37,270,10.3,NA,0,1012,10,2013-12-30T23:00:00Z`},
	"nginx-status":    {`{"timestamp":1446249499322,"load_timestamp":1445680800424,"address":"10.0.0.9","pid":7,"server_zones":{},"upstreams":{}}`},
	"earthquakes": {
		`{"type":"Feature","properties":{"mag":2,"time":1517966773840,"updated":1517966996303,"net":"ci"},"geometry":{"type":"Point","coordinates":[1,2,3]},"id":"ci1"}`,
	},
}

func TestMalformedRecordsAreNoneOfTheirSet(t *testing.T) {
	for name, s := range sets() {
		var good []record
		for _, l := range lines[name] {
			key, err := s.key([]byte(l))
			if err != nil || key == "" {
				t.Fatalf("%s: %s: key %q, %v", name, l, key, err)
			}
			good = append(good, record{key: key, data: []byte(l)})
		}
		bad := malformed(s, good, 100)
		if len(bad) != 100 {
			t.Errorf("%s: %d malformed records", name, len(bad))
		}
		for _, b := range bad {
			if _, err := s.key(b.data); err == nil {
				t.Errorf("%s: %s record is a good one: %.100q", name, b.bad, b.data)
			}
		}
	}
}

func TestReadersOfPayloadsPlaceTheirRows(t *testing.T) {
	d, err := placed(codec.JSONSequence[document], codec.Earliest(document.when))()
	if err != nil {
		t.Fatal(err)
	}
	records := []shardlake.Record{
		{Pos: shardlake.Position{Seq: "7", Sub: 2}, Key: "a", Data: []byte(`{"n":1}{"n":2}`)},
		{Pos: shardlake.Position{Seq: "8"}, Key: "b", Data: []byte(`{"n":1}{"n":`)},
	}
	rows := make([]part[codec.Sequence[document]], len(records))
	n, err := d.Decode(t.Context(), records, rows)
	if n != 1 || err == nil || rows[0].Seq != "7" || rows[0].Sub != 2 || rows[0].Key != "a" || len(rows[0].Row) != 2 || !rows[0].Time.Equal(time.Unix(0, 0)) {
		t.Errorf("%d rows, %v: %+v", n, err, rows)
	}
	if all, err := readers(abcSchema); err != nil || len(all) != 11 {
		t.Errorf("%d readers, %v", len(all), err)
	}
}

func TestPayloadsWantAFolder(t *testing.T) {
	lake := "dir:" + t.TempDir()
	for _, o := range []options{
		{set: payloads, lake: "s3:bucket@http://127.0.0.1:1", leases: t.TempDir(), manifest: "m", shards: 1},
		{set: payloads, lake: lake, data: t.TempDir(), shards: 1},
	} {
		if err := play(t.Context(), o); err == nil {
			t.Errorf("%+v is no error", o)
		}
	}
}

func TestMixKeepsTheOrderAndSpreadsWhatIsBad(t *testing.T) {
	var good []record
	for i := range 10 {
		good = append(good, record{key: strconv.Itoa(i)})
	}
	var keys []string
	for _, r := range mix(good, []record{{bad: "a"}, {bad: "b"}}) {
		keys = append(keys, r.bad+r.key)
	}
	if want := []string{"0", "1", "2", "3", "4", "a4", "5", "6", "7", "8", "9", "b9"}; !slices.Equal(keys, want) {
		t.Errorf("%q, want %q", keys, want)
	}
}

// throttled puts records to a stream of one shard that takes 1,000 a second.
func throttled(t *testing.T, strict bool, recs []record) (*manifest, []kinesistest.Record, error) {
	srv := kinesistest.New(kinesistest.Config{Limits: true})
	c := kinesis.New(kinesis.Options{
		Region: region, BaseEndpoint: new(srv.URL()), HTTPClient: srv.Client(), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	if err := create(t.Context(), c, "s", 1); err != nil {
		t.Fatal(err)
	}
	m := &manifest{Last: map[string]string{}, Count: map[string]int{}}
	f := &feeder{client: c, stream: "s", strict: strict, out: m}
	err := f.put(t.Context(), recs)
	got, gerr := srv.Records("s", "shardId-000000000000")
	if gerr != nil {
		t.Fatal(gerr)
	}
	return m, got, err
}

func TestStrictPutsKeepTheOrderOfAKeyThroughThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var recs []record
		for i := range 3000 {
			recs = append(recs, record{key: strconv.Itoa(i % 7), data: []byte(strconv.Itoa(i))})
		}
		m, got, err := throttled(t, true, recs)
		if err != nil {
			t.Fatal(err)
		}
		if m.Retried == 0 || m.Records != 3000 || len(got) != 3000 || m.Last["shardId-000000000000"] != got[2999].SequenceNumber {
			t.Errorf("%d put again, %d put, %d there, the last one %s", m.Retried, m.Records, len(got), m.Last)
		}
		last := map[string]int{}
		for _, r := range got {
			i, err := strconv.Atoi(string(r.Data))
			if err != nil {
				t.Fatal(err)
			}
			if before, ok := last[r.PartitionKey]; ok && i != before+7 {
				t.Fatalf("key %s: %d after %d", r.PartitionKey, i, before)
			}
			last[r.PartitionKey] = i
		}
	})
}

func TestALostOrderIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A large record is refused where small ones still fit.
		recs := []record{{key: "k", data: make([]byte, 900<<10)}, {key: "k", data: make([]byte, 900<<10)}, {key: "k", data: []byte("small")}}
		if _, _, err := throttled(t, false, recs); err == nil {
			t.Error("the order of a key was lost in silence")
		}
	})
}
