package parquet_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	pq "github.com/parquet-go/parquet-go"

	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/parquet"
)

// click is a row of 16 columns as clickstreams have them. Both writers read it.
type click struct {
	EventID   string    `lake:"event_id" parquet:"event_id"`
	UserID    int64     `lake:"user_id" parquet:"user_id"`
	SessionID string    `lake:"session_id" parquet:"session_id"`
	At        time.Time `lake:"at" parquet:"at,timestamp(microsecond)"`
	Price     *float64  `lake:"price" parquet:"price"`
	Qty       int32     `lake:"qty" parquet:"qty"`
	Revenue   float64   `lake:"revenue" parquet:"revenue"`
	Mobile    bool      `lake:"mobile" parquet:"mobile"`
	Type      string    `lake:"event_type" parquet:"event_type,dict"`
	Path      string    `lake:"path" parquet:"path,dict"`
	Referrer  *string   `lake:"referrer" parquet:"referrer,dict"`
	Country   string    `lake:"country" parquet:"country,dict"`
	Region    string    `lake:"region" parquet:"region,dict"`
	OS        string    `lake:"os" parquet:"os,dict"`
	Browser   string    `lake:"browser" parquet:"browser,dict"`
	Tags      []string  `lake:"tags" parquet:"tags,list,dict"`
}

func clicks(n int) []click {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(of string, n int) string { return fmt.Sprint(of, r.IntN(n)) }
	rows := make([]click, n)
	for i := range rows {
		rows[i] = click{
			EventID: fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()), UserID: r.Int64N(1e6), SessionID: fmt.Sprintf("%016x", r.Uint64N(1e5)),
			At: time.UnixMicro(1.77e15 + int64(i)*1000).UTC(), Qty: r.Int32N(5), Mobile: r.IntN(2) == 0, Type: pick("type", 6), Path: pick("/shop/item/", 500),
			Country: pick("C", 40), Region: pick("region-", 8), OS: pick("os", 6), Browser: pick("browser ", 12),
		}
		if r.IntN(2) == 0 {
			p, ref := float64(r.IntN(10000))/100, pick("https://example.com/", 100)
			rows[i].Price, rows[i].Referrer, rows[i].Revenue = &p, &ref, p*float64(rows[i].Qty)
		}
		for range r.IntN(3) {
			rows[i].Tags = append(rows[i].Tags, pick("tag", 30))
		}
	}
	return rows
}

// view is the row of the end-to-end benchmark: four of its twelve columns have values
// that all or nearly all differ.
type view struct {
	ID      int64
	Time    time.Time
	User    string
	Session string
	Page    string
	Referer *string
	Agent   string
	Country string
	Type    string
	Millis  int32
	Price   float64
	Tags    []string
}

func views(n int) []view {
	r := rand.New(rand.NewPCG(1, 2))
	referer, rows := "https://example.org/search", make([]view, n)
	for i := range rows {
		rows[i] = view{
			ID: int64(i), Time: time.UnixMilli(1_760_000_000_000 + int64(i)*7).UTC(), User: fmt.Sprintf("user-%06d", r.IntN(50_000)),
			Session: fmt.Sprintf("%016x", r.Uint64()), Page: fmt.Sprintf("https://example.com/p/%d", r.IntN(900)),
			Agent: "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", Country: []string{"NL", "DE", "FR", "US", "BR", "IN", "JP", "ZA"}[r.IntN(8)],
			Type: []string{"view", "click", "buy"}[r.IntN(3)], Millis: int32(r.IntN(3000)), Price: float64(r.IntN(10_000)) / 100, Tags: []string{"a", "b"}[:r.IntN(3)],
		}
		if i%3 == 0 {
			rows[i].Referer = &referer
		}
	}
	return rows
}

// Files of 12,000 rows, with the check of each row: of one lane, one after the other,
// and of 32 lanes at once, most of which have fresh memory.
func BenchmarkSmallFiles(b *testing.B) {
	rows := views(12_000)
	for _, lanes := range []int{1, 32} {
		b.Run(fmt.Sprint("lanes=", lanes), func(b *testing.B) {
			b.ReportAllocs()
			f := newFormat[view](b, parquet.Config{})
			out := make([]sinkhole, lanes)
			encoders := make([]sink.Encoder[view], lanes)
			for b.Loop() {
				clear(out)
				for i := 0; i < len(rows); i += 1000 {
					for lane := range encoders {
						if i == 0 {
							e, err := f.NewEncoder(&out[lane], sink.FileInfo{})
							if err != nil {
								b.Fatal(err)
							}
							encoders[lane] = e
						}
						for k := range rows[i : i+1000] {
							if err := f.Check(&rows[i+k]); err != nil {
								b.Fatal(err)
							}
						}
						if err := encoders[lane].Encode(rows[i : i+1000]); err != nil {
							b.Fatal(err)
						}
					}
				}
				for _, e := range encoders {
					if err := e.Close(sink.FileInfo{}); err != nil {
						b.Fatal(err)
					}
					e.Abandon()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(lanes*len(rows)), "ns/row")
			b.ReportMetric(float64(out[0].n)/float64(len(rows)), "bytes/row")
		})
	}
}

// The row writer of the library beneath is there for comparison: ns/row of each.
func BenchmarkEncode(b *testing.B) {
	rows := clicks(64 << 10)
	perRow := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(rows)), "ns/row")
	}
	for name, c := range map[string]parquet.Config{"zstd": {}, "snappy": {Compression: parquet.Snappy}, "none": {Compression: parquet.None}} {
		f := newFormat[click](b, c)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var out sinkhole
			for b.Loop() {
				out.n = 0
				e, err := f.NewEncoder(&out, sink.FileInfo{})
				if err != nil {
					b.Fatal(err)
				}
				for i := 0; i < len(rows); i += 1024 {
					if err := e.Encode(rows[i : i+1024]); err != nil {
						b.Fatal(err)
					}
				}
				if err := e.Close(sink.FileInfo{}); err != nil {
					b.Fatal(err)
				}
				e.Abandon()
			}
			perRow(b)
			b.ReportMetric(float64(out.n)/float64(len(rows)), "bytes/row")
		})
	}
	b.Run("rowwriter-zstd", func(b *testing.B) {
		b.ReportAllocs()
		var out sinkhole
		w := pq.NewGenericWriter[click](&out, pq.DataPageVersion(1), pq.DefaultEncodingFor(pq.ByteArray, &pq.Plain), pq.PageBufferSize(1<<20), pq.Compression(&pq.Zstd))
		for b.Loop() {
			out.n = 0
			w.Reset(&out)
			for i := 0; i < len(rows); i += 1024 {
				if _, err := w.Write(rows[i : i+1024]); err != nil {
					b.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
		}
		perRow(b)
		b.ReportMetric(float64(out.n)/float64(len(rows)), "bytes/row")
	})
}
