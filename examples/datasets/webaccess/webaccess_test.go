package webaccess_test

import (
	"slices"
	"testing"

	"github.com/shardlake/shardlake/examples/datasets/datasetstest"
	"github.com/shardlake/shardlake/examples/datasets/webaccess"
)

var hits = []string{
	`{"time":"2015-05-17T10:05:03Z","ip":"10.0.0.1","user":null,"method":"GET","path":"/","proto":"HTTP/1.1","status":200,"bytes":35,"referer":null,"agent":"Mözilla"}`,
	`{"time":"2015-05-17T10:05:01Z","ip":"10.0.0.2","user":null,"method":"GET","path":"/a","proto":"HTTP/1.1","status":304,"bytes":null,"referer":"http://a/"}`,
	`{"time":"2015-05-18T11:05:00Z","ip":"10.0.0.1","user":null,"method":"GET","path":"/b","proto":"HTTP/1.0","status":404,"bytes":7,"referer":null,"agent":null}`,
	`{"time":"2015-05-17T10:05:03Z","ip":"10.0.0.1","user":null,"method":"GET","path":"/","proto":"HTTP/1.1","status":200,"bytes":35,"referer":null,"agent":"Mözilla"}`,
}

func TestPipeline(t *testing.T) {
	rows := datasetstest.Decode(t, webaccess.Codec, hits...)
	// What follows by more than the window and its grace closes the first hour, and
	// makes the last row late for nothing but the aggregate.
	rows[3].Time = rows[0].Time
	lake := datasetstest.Run(t, webaccess.Build, webaccess.Hit.When, rows[0], rows[1], rows[3], rows[2])
	first := `{"agent":"Mözilla","bytes":35,"ip":"10.0.0.1","method":"GET","path":"/","proto":"HTTP/1.1","referer":null,"status":200,"time":"2015-05-17T10:05:03Z","user":null}`
	fault := `{"agent":null,"bytes":7,"ip":"10.0.0.1","method":"GET","path":"/b","proto":"HTTP/1.0","referer":null,"status":404,"time":"2015-05-18T11:05:00Z","user":null}`
	datasetstest.Equal(t, lake, "hits_avro", first, first, fault,
		`{"agent":null,"bytes":null,"ip":"10.0.0.2","method":"GET","path":"/a","proto":"HTTP/1.1","referer":"http://a/","status":304,"time":"2015-05-17T10:05:01Z","user":null}`)
	datasetstest.Equal(t, lake, "failures", fault)
	datasetstest.Equal(t, lake, "hour_status_avro",
		`{"count":2,"hour_start":"2015-05-17T10:00:00Z","null_bytes":0,"status":200,"sum_bytes":70}`,
		`{"count":1,"hour_start":"2015-05-17T10:00:00Z","null_bytes":1,"status":304,"sum_bytes":0}`,
		`{"count":1,"hour_start":"2015-05-18T11:00:00Z","null_bytes":0,"status":404,"sum_bytes":7}`)
	datasetstest.Equal(t, lake, "dead_avro")
	if got := datasetstest.Folders(t, lake, "hits"); !slices.Equal(got, []string{"dt=2015-05-17", "dt=2015-05-18"}) {
		t.Errorf("partitions %q", got)
	}
}

func TestWhatIsNoHitIsRefused(t *testing.T) {
	datasetstest.Refuses(t, webaccess.Codec, ``, `{}`, `null`, `{"a":1}`, hits[0][:40], hits[0]+"\n"+hits[0], "{\"time\":\"\xff\"}",
		`{"time":"yesterday","ip":"10.0.0.1","method":"GET","path":"/","proto":"HTTP/1.1","status":200}`,
		`{"time":"2015-05-17T10:05:03Z","ip":"10.0.0.1","method":"GET","path":"/","proto":"HTTP/1.1","status":2000}`)
}

func TestTheRawLogGivesTheSameHits(t *testing.T) {
	lines := []string{
		`10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 35 "-" "Mözilla"`,
		`10.0.0.2 - - [17/May/2015:12:05:01 +0200] "GET /a HTTP/1.1" 304 - "http://a/" "-"`,
		`10.0.0.1 - - [18/May/2015:11:05:00 +0000] "GET /b HTTP/1.0" 404 7 "-" "-"`,
	}
	raw, parsed := datasetstest.Decode(t, webaccess.LogCodec, lines...), datasetstest.Decode(t, webaccess.Codec, hits[:3]...)
	a, b := datasetstest.Run(t, webaccess.Build, webaccess.Hit.When, raw...), datasetstest.Run(t, webaccess.Build, webaccess.Hit.When, parsed...)
	datasetstest.Same(t, "hits_avro", a, b)
	quoted := datasetstest.Decode(t, webaccess.LogCodec, `10.0.0.1 - bob [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 35 "\xe4\"" "cut short`)
	if h := quoted[0]; *h.Referer != `\xe4\"` || *h.Agent != "cut short" || *h.User != "bob" {
		t.Errorf("referer %s, agent %s, user %s", *h.Referer, *h.Agent, *h.User)
	}
	datasetstest.Refuses(t, webaccess.LogCodec, ``, lines[0][:50], lines[0]+"\n"+lines[0], "\xff"+lines[0],
		`10.0.0.1 - - [31/Feb/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 35 "-" "-"`, `10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET" 200 35 "-" "-"`)
}
