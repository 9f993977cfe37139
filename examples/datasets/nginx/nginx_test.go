package nginx_test

import (
	"testing"

	"github.com/shardlake/shardlake/examples/datasets/datasetstest"
	"github.com/shardlake/shardlake/examples/datasets/nginx"
)

const peer = `{"id":0,"server":"unix:/tmp/a.sock","backup":false,"weight":1,"state":"up","active":0,"requests":5,"responses":{"1xx":0,"2xx":4,"3xx":0,"4xx":1,"5xx":0,"total":5},"sent":1,"received":6294032972,"fails":2,"unavail":0,"health_checks":{"checks":0,"fails":0,"unhealthy":0},"downtime":0,"downstart":0,"selected":1446249473000}`
const checked = `{"id":1,"server":"10.0.0.1:80","backup":true,"weight":5,"state":"up","active":0,"max_conns":42,"requests":7,"responses":{"1xx":0,"2xx":7,"3xx":0,"4xx":0,"5xx":0,"total":7},"sent":0,"received":0,"fails":0,"unavail":0,"health_checks":{"checks":1,"fails":0,"unhealthy":0,"last_passed":true},"downtime":0,"downstart":0,"selected":0}`

func snapshot(timestamp, upstreams string) string {
	return `{"version":6,"nginx_version":"1.9.4","address":"10.0.0.9","generation":11,"load_timestamp":1445680800424,"timestamp":` + timestamp + `,"pid":64857,
		"processes":{"respawned":0},"connections":{"accepted":1,"dropped":0,"active":2,"idle":29},"ssl":{"handshakes":1,"handshakes_failed":2,"session_reuses":3},"requests":{"total":4,"current":2},
		"server_zones":{"hg.nginx.org":{"processing":0,"requests":1,"responses":{"1xx":0,"2xx":1,"3xx":0,"4xx":0,"5xx":0,"total":1},"discarded":0,"received":1,"sent":6490717598}},
		"upstreams":` + upstreams + `,"caches":{},"stream":{"server_zones":{},"upstreams":{}}}`
}

func TestPipeline(t *testing.T) {
	rows := datasetstest.Decode(t, nginx.Codec,
		snapshot("1446249499322", `{"trac-backend":{"peers":[`+peer+`,`+checked+`],"keepalive":0},"a":{"peers":[`+checked+`],"keepalive":1}}`),
		snapshot("1446249600000", `{"a":{"peers":[],"keepalive":0}}`))
	lake := datasetstest.Run(t, nginx.Build, nginx.Snapshot.When, rows...)
	second := `"id":1,"max_conns":42,"received":0,"requests":7,"responses":{"r1xx":0,"r2xx":7,"r3xx":0,"r4xx":0,"r5xx":0,"total":7},"selected":0,"sent":0,"server":"10.0.0.1:80","state":"up","time":"2015-10-30T23:58:19.322Z","unavail":0,"upstream":`
	checks := `"active":0,"backup":true,"downstart":0,"downtime":0,"fails":0,"health_checks":{"checks":1,"fails":0,"last_passed":true,"unhealthy":0},`
	datasetstest.Equal(t, lake, "peers_avro",
		`{`+checks+second+`"a","weight":5}`,
		`{`+checks+second+`"trac-backend","weight":5}`,
		`{"active":0,"backup":false,"downstart":0,"downtime":0,"fails":2,"health_checks":{"checks":0,"fails":0,"last_passed":null,"unhealthy":0},"id":0,"max_conns":null,"received":6294032972,"requests":5,"responses":{"r1xx":0,"r2xx":4,"r3xx":0,"r4xx":1,"r5xx":0,"total":5},"selected":1446249473000,"sent":1,"server":"unix:/tmp/a.sock","state":"up","time":"2015-10-30T23:58:19.322Z","unavail":0,"upstream":"trac-backend","weight":1}`)
	datasetstest.Equal(t, lake, "minute_upstream_avro",
		`{"minute_start":"2015-10-30T23:58:00Z","missing_last_passed":0,"peer_rows":1,"sum_fails":0,"sum_requests":7,"upstream":"a"}`,
		`{"minute_start":"2015-10-30T23:58:00Z","missing_last_passed":1,"peer_rows":2,"sum_fails":2,"sum_requests":12,"upstream":"trac-backend"}`)
	empty := `"ssl":{"handshakes":1,"handshakes_failed":2,"session_reuses":3},"stream":{"server_zones":{},"upstreams":{}},"time":"2015-10-31T00:00:00Z","upstreams":{"a":{"keepalive":0,"peers":[]}},"version":6}`
	datasetstest.Contains(t, lake, "snapshots_avro", 2, empty, `"server_zones":{"hg.nginx.org":{"discarded":0,"processing":0,"received":1,"requests":1,"responses":{"r1xx":0,`)
	datasetstest.Equal(t, lake, "dead_avro")
}

func TestWhatIsNoSnapshotIsRefused(t *testing.T) {
	datasetstest.Refuses(t, nginx.Codec, ``, `{}`, `{"timestamp":1}`, snapshot(`"1"`, `{}`), snapshot(`1`, `[]`), snapshot(`1`, `{"a":{"peers":[1]}}`), snapshot(`1`, `null`))
}
