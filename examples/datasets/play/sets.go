package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/examples/datasets"
	"github.com/shardlake/shardlake/examples/datasets/nginx"
	"github.com/shardlake/shardlake/examples/datasets/quakes"
	"github.com/shardlake/shardlake/examples/datasets/retail"
	"github.com/shardlake/shardlake/examples/datasets/sensors"
	"github.com/shardlake/shardlake/examples/datasets/weather"
	"github.com/shardlake/shardlake/examples/datasets/webaccess"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/source/kinesis"
)

// set is a data set and its pipeline, without the type of its rows.
type set struct {
	// header tells that the file's first line is no record.
	header bool
	// wrong are records in the right syntax that are none of the set.
	wrong []string
	// key is the partition key of a line, which must be a good record.
	key func(line []byte) (string, error)
	// build adds the set's pipeline to p. If put is not nil the stream comes to its end,
	// and these are the shards with records: see drained.
	build func(p *pipeline.Pipeline, cfg kinesis.Config, put map[string]string, lake datasets.Lake)
}

// keyed is what every row type of package datasets is.
type keyed interface {
	Key() string
	When() time.Time
}

// of forgets the type of a set's rows.
func of[T keyed](c func() (codec.Decoder[T], error), build func(*pipeline.Pipeline, source.Source[T], datasets.Lake), wrong ...string) set {
	return set{
		wrong: wrong,
		key: func(line []byte) (string, error) {
			d, err := c()
			if err != nil {
				return "", err
			}
			rows := make([]T, 1)
			_, err = d.Decode(context.Background(), []shardlake.Record{{Data: line}}, rows)
			return rows[0].Key(), err
		},
		build: func(p *pipeline.Pipeline, cfg kinesis.Config, put map[string]string, lake datasets.Lake) {
			src := kinesis.Source(cfg, c, T.When)
			if put != nil {
				src = drained[T]{src, put}
			}
			build(p, src, lake)
		},
	}
}

// noRecord are JSON documents that are no record of any set.
var noRecord = []string{`[1,2,3]`, `"text"`, `null`, `{}`, `{"a":1}{"a":2}`, `{"a":1,"a":1}`, "\xEF\xBB\xBF{\"a\":1}"}

func sets() map[string]set {
	m := map[string]set{
		"web-access": of(webaccess.Codec, webaccess.Build, append(noRecord,
			`{"time":"2015-05-17T10:05:03Z","ip":7,"method":"GET","path":"/","proto":"HTTP/1.1","status":200}`,
			`{"time":"2015-05-17T10:05:03Z","ip":"10.0.0.1","method":"GET","path":"/","proto":"HTTP/1.1","status":"200"}`,
			`{"time":"2015-05-17T10:05:03Z","ip":"10.0.0.1","method":"GET","path":"/","proto":"HTTP/1.1","status":200,"bytes":0.5}`,
			`{"time":1431857103,"ip":"10.0.0.1","method":"GET","path":"/","proto":"HTTP/1.1","status":200}`)...),
		"web-access-log": of(webaccess.LogCodec, webaccess.Build,
			`10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" abc 1 "-" "-"`,
			`10.0.0.1 - - [17/Mai/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "-"`,
			`10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /" 200 1 "-" "-"`,
			`10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 99999999999999999999 "-" "-"`),
		"online-retail": of(retail.Codec, retail.Build, append(noRecord,
			`{"InvoiceNo":1.5,"StockCode":1,"Description":null,"Quantity":1,"InvoiceDate":"2010-12-01 08:26:00","UnitPrice":1,"CustomerID":null,"Country":"France"}`,
			`{"InvoiceNo":1,"StockCode":1,"Description":null,"Quantity":1,"InvoiceDate":"2010-12-01 08:26:00","UnitPrice":"1.00","CustomerID":null,"Country":"France"}`,
			`{"InvoiceNo":1,"StockCode":1,"Description":null,"Quantity":1,"InvoiceDate":"2010-12-01 08:26:00","UnitPrice":0.0001,"CustomerID":null,"Country":"France"}`,
			`{"InvoiceNo":1,"StockCode":1,"Description":null,"Quantity":9223372036854775807,"InvoiceDate":"2010-12-01 08:26:00","UnitPrice":2,"CustomerID":null,"Country":"France"}`)...),
		"machine-sensors": of(sensors.Codec, sensors.Build, append(noRecord,
			`{"sensor":"a","time":"2013-07-04 00:00:00","value":"1","n":0}`,
			`{"sensor":"a","time":"2013-07-04","value":1,"n":0}`,
			`{"sensor":"a","time":"2013-07-04 00:00:00","value":null,"n":0}`,
			`{"sensor":null,"time":"2013-07-04 00:00:00","value":1,"n":0}`)...),
		"airport-weather": of(weather.Codec, weather.Build,
			`EWR,2013,1,1,1,39.02,26.06,59.37,270,10.3,NA,0,1012,10,2013-01-01 06:00:00`,
			`EWR,2013,1,1,1,39.02,26.06,59.37,270.5,10.3,NA,0,1012,10,2013-01-01T06:00:00Z`,
			`EWR,NA,1,1,1,39.02,26.06,59.37,270,10.3,NA,0,1012,10,2013-01-01T06:00:00Z`,
			`EWR,2013,1,1,1,39.021,26.06,59.37,270,10.3,NA,0,1012,10,2013-01-01T06:00:00Z`,
			"EWR,2013,1,1,1,39.02,26.06,59.37,270,10.3,NA,0,1012,10,2013-01-01T06:00:00Z\nEWR,2013,1,1,1,39.02,26.06,59.37,270,10.3,NA,0,1012,10,2013-01-01T06:00:00Z"),
		"nginx-status": of(nginx.Codec, nginx.Build, append(noRecord,
			`{"timestamp":"1446249499322","load_timestamp":1,"address":"a","server_zones":{},"upstreams":{}}`,
			`{"timestamp":1446249499322,"load_timestamp":1,"address":"a","server_zones":[],"upstreams":{}}`,
			`{"timestamp":1446249499322,"load_timestamp":1,"address":"a","server_zones":{},"upstreams":{"x":{"peers":{}}}}`,
			`{"timestamp":1446249499322,"load_timestamp":1,"address":"a","server_zones":{"a":1},"upstreams":{}}`)...),
		"earthquakes": of(quakes.Codec, quakes.Build, append(noRecord,
			`{"type":"Feature","properties":{"mag":"2","time":1,"updated":1,"net":"ci"},"geometry":{"type":"Point","coordinates":[1,2,3]},"id":"a"}`,
			`{"type":"Feature","properties":{"mag":2,"time":1,"updated":1,"net":"ci"},"geometry":{"type":"Point","coordinates":[1,2]},"id":"a"}`,
			`{"type":"Feature","properties":{"mag":2,"time":1.5,"updated":1,"net":"ci"},"geometry":{"type":"Point","coordinates":[1,2,3]},"id":"a"}`,
			`{"type":"Feature","properties":[],"geometry":{"type":"Point","coordinates":[1,2,3]},"id":"a"}`)...),
	}
	w := m["airport-weather"]
	w.header = true
	m["airport-weather"] = w
	return m
}

// find returns a set by its name.
func find(name string) (set, error) {
	if s, ok := goldenSet(name); ok {
		return s, nil
	}
	all := sets()
	s, ok := all[name]
	if !ok {
		var names []string
		for n := range all {
			names = append(names, n)
		}
		slices.Sort(names)
		return s, fmt.Errorf("-set %q: want one of %q", name, names)
	}
	return s, nil
}
