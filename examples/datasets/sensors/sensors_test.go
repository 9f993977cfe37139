package sensors_test

import (
	"slices"
	"testing"

	"github.com/shardlake/shardlake/examples/datasets/datasetstest"
	"github.com/shardlake/shardlake/examples/datasets/sensors"
)

var readings = []string{
	`{"sensor":"plant/a","time":"2014-01-07 02:55:00","value":69.88083514,"n":0}`,
	`{"sensor":"road/b","time":"2014-01-07 02:56:00","value":7,"n":0}`,
	`{"sensor":"plant/a","time":"2014-01-07 02:00:00","value":38.532000000000004,"n":1}`,
	`{"sensor":"plant/a","time":"2014-01-08 00:00:00","value":0,"n":2}`,
}

func TestPipeline(t *testing.T) {
	rows := datasetstest.Decode(t, sensors.Codec, readings...)
	lake := datasetstest.Run(t, sensors.Build, sensors.Reading.When, rows...)
	datasetstest.Equal(t, lake, "readings_avro",
		`{"n":0,"sensor":"plant/a","time":"2014-01-07T02:55:00Z","value":69.88083514,"value_text":"69.88083514"}`,
		`{"n":0,"sensor":"road/b","time":"2014-01-07T02:56:00Z","value":7,"value_text":"7"}`,
		`{"n":1,"sensor":"plant/a","time":"2014-01-07T02:00:00Z","value":38.532000000000004,"value_text":"38.532000000000004"}`,
		`{"n":2,"sensor":"plant/a","time":"2014-01-08T00:00:00Z","value":0,"value_text":"0"}`)
	datasetstest.Equal(t, lake, "hour_sensor_avro",
		`{"count":2,"hour_start":"2014-01-07T02:00:00Z","max_value":"69.88083514","min_value":"38.532000000000004","sensor":"plant/a","sum_value":"108.412835140000004"}`,
		`{"count":1,"hour_start":"2014-01-07T02:00:00Z","max_value":"7","min_value":"7","sensor":"road/b","sum_value":"7"}`,
		`{"count":1,"hour_start":"2014-01-08T00:00:00Z","max_value":"0","min_value":"0","sensor":"plant/a","sum_value":"0"}`)
	datasetstest.Equal(t, lake, "dead_avro")
	if got := datasetstest.Folders(t, lake, "readings_avro"); !slices.Equal(got, []string{"sensor_part=plant%2Fa", "sensor_part=road%2Fb"}) {
		t.Errorf("partitions %q", got)
	}
}

func TestWhatIsNoReadingIsRefused(t *testing.T) {
	datasetstest.Refuses(t, sensors.Codec, ``, `{}`, `7`, readings[0][:30],
		`{"sensor":"a","time":"2014-01-07","value":1,"n":0}`, `{"sensor":"a","time":"2014-01-07 00:00:00","value":"1","n":0}`,
		`{"sensor":"a","time":"2014-01-07 00:00:00","value":NaN,"n":0}`, `{"sensor":"a","time":"2014-01-07 00:00:00","value":1,"n":0.5}`)
}
