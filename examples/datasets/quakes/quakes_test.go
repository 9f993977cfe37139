package quakes_test

import (
	"slices"
	"testing"

	"github.com/shardlake/shardlake/examples/datasets/datasetstest"
	"github.com/shardlake/shardlake/examples/datasets/quakes"
)

// Newest first, as the feed is.
var features = []string{
	`{"type":"Feature","properties":{"mag":4.5,"place":"Hualien, Taiwan 花蓮","time":1517966773840,"updated":1517966996303,"tz":480,"url":"u","detail":"d","felt":935,"cdi":9.1,"mmi":6.75,"alert":"green","status":"reviewed","tsunami":1,"sig":62,"net":"us","code":"1","ids":",us1,ci2,","sources":",us,ci,","types":",origin,","nst":7,"dmin":0.04214,"rms":0.3501,"gap":174,"magType":"mb","type":"earthquake","title":"M 4.5"},"geometry":{"type":"Point","coordinates":[121.6871667,24.4945,26.49]},"id":"us1"}`,
	`{"type":"Feature","properties":{"mag":-0.8,"place":"p","time":1517363399650,"updated":1517365391235,"tz":-480,"url":"u","detail":"d","felt":null,"cdi":null,"mmi":null,"alert":null,"status":"automatic","tsunami":0,"sig":0,"net":"us","code":"2","ids":",us2,","sources":",us,","types":"","nst":null,"dmin":null,"rms":null,"gap":null,"magType":"ml","type":"quarry blast","title":"M -0.8"},"geometry":{"type":"Point","coordinates":[-118,34.4945,-3]},"id":"us2"}`,
}

func TestPipeline(t *testing.T) {
	rows := datasetstest.Decode(t, quakes.Codec, features...)
	lake := datasetstest.Run(t, quakes.Build, quakes.Quake.When, rows...)
	datasetstest.Equal(t, lake, "quakes_avro",
		`{"alert":"green","cdi":"9.1","code":"1","detail":"d","dmin":0.04214,"felt":935,"gap":"174","id":"us1","ids":["us1","ci2"],"mag":"4.5","mag_type":"mb","mmi":"6.75","net":"us","nst":7,"place":"Hualien, Taiwan 花蓮","point":{"coordinates":[121.6871667,24.4945,26.49],"depth_km":"26.49","latitude":"24.4945","longitude":"121.6871667"},"rms":"0.3501","sig":62,"sources":["us","ci"],"status":"reviewed","time":"2018-02-07T01:26:13.84Z","title":"M 4.5","tsunami":true,"type":"earthquake","types":["origin"],"tz_minutes":480,"updated":"2018-02-07T01:29:56.303Z","url":"u"}`,
		`{"alert":null,"cdi":null,"code":"2","detail":"d","dmin":null,"felt":null,"gap":null,"id":"us2","ids":["us2"],"mag":"-0.8","mag_type":"ml","mmi":null,"net":"us","nst":null,"place":"p","point":{"coordinates":[-118,34.4945,-3],"depth_km":"-3","latitude":"34.4945","longitude":"-118"},"rms":null,"sig":0,"sources":["us"],"status":"automatic","time":"2018-01-31T01:49:59.65Z","title":"M -0.8","tsunami":false,"type":"quarry blast","types":[],"tz_minutes":-480,"updated":"2018-01-31T02:23:11.235Z","url":"u"}`)
	datasetstest.Equal(t, lake, "hour_net_avro",
		`{"count":1,"count_mag":1,"hour_start":"2018-02-07T01:00:00Z","max_mag":"4.5","net":"us","sum_mag":"4.5"}`,
		`{"count":1,"count_mag":1,"hour_start":"2018-01-31T01:00:00Z","max_mag":"-0.8","net":"us","sum_mag":"-0.8"}`)
	datasetstest.Equal(t, lake, "dead_avro")
	if got := datasetstest.Folders(t, lake, "quakes"); !slices.Equal(got, []string{"dt=2018-01-31", "dt=2018-02-07"}) {
		t.Errorf("partitions %q", got)
	}
	if got := datasetstest.Folders(t, lake, "strong"); !slices.Equal(got, []string{"."}) {
		t.Errorf("strong quakes in %q", got)
	}
}

func TestWhatIsNoQuakeIsRefused(t *testing.T) {
	datasetstest.Refuses(t, quakes.Codec, ``, `{}`, features[0][:200],
		`{"type":"Feature","properties":{"mag":2.001,"time":1,"updated":1,"net":"us"},"geometry":{"type":"Point","coordinates":[1,2,3]},"id":"a"}`,
		`{"type":"Feature","properties":{"time":1,"updated":1,"net":"us"},"geometry":{"type":"Point","coordinates":[1,2]},"id":"a"}`,
		`{"type":"Feature","properties":{"time":1,"updated":1,"net":"us","tsunami":2},"geometry":{"type":"Point","coordinates":[1,2,3]},"id":"a"}`,
		`{"type":"Feature","properties":{"time":"1","updated":1,"net":"us"},"geometry":{"type":"Point","coordinates":[1,2,3]},"id":"a"}`)
}
