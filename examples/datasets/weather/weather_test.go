package weather_test

import (
	"slices"
	"testing"

	"github.com/shardlake/shardlake/examples/datasets/datasetstest"
	"github.com/shardlake/shardlake/examples/datasets/weather"
)

var observations = []string{
	`EWR,2013,12,30,18,39.02,26.06,59.37,270,10.357019999999999,NA,0,1012,10,2013-12-30T23:00:00Z`,
	`JFK,2013,1,1,1,NA,NA,NA,NA,NA,23.0,1.21,1e3,0.25,2013-01-01T06:00:00Z`,
	`EWR,2013,12,30,17,-0.5,26,100,0,0,NA,0.01,NA,10,2013-12-30T22:00:00Z`,
}

func TestPipeline(t *testing.T) {
	rows := datasetstest.Decode(t, weather.Codec, observations...)
	lake := datasetstest.Run(t, weather.Build, weather.Observation.When, rows...)
	datasetstest.Equal(t, lake, "observations_avro",
		`{"day":30,"dewp":"26.06","hour":18,"humid":"59.37","month":12,"origin":"EWR","precip":"0","pressure":"1012","temp":"39.02","time_hour":"2013-12-30T23:00:00Z","visib":"10","wind_dir":270,"wind_gust":null,"wind_speed":10.357019999999999,"year":2013}`,
		`{"day":1,"dewp":null,"hour":1,"humid":null,"month":1,"origin":"JFK","precip":"1.21","pressure":"1000","temp":null,"time_hour":"2013-01-01T06:00:00Z","visib":"0.25","wind_dir":null,"wind_gust":23,"wind_speed":null,"year":2013}`,
		`{"day":30,"dewp":"26","hour":17,"humid":"100","month":12,"origin":"EWR","precip":"0.01","pressure":null,"temp":"-0.5","time_hour":"2013-12-30T22:00:00Z","visib":"10","wind_dir":0,"wind_gust":null,"wind_speed":0,"year":2013}`)
	datasetstest.Equal(t, lake, "day_origin_avro",
		`{"count":2,"count_temp":2,"day_start":"2013-12-30T00:00:00Z","null_wind_gust":2,"origin":"EWR","sum_precip":"0.01","sum_temp":"38.52"}`,
		`{"count":1,"count_temp":0,"day_start":"2013-01-01T00:00:00Z","null_wind_gust":0,"origin":"JFK","sum_precip":"1.21","sum_temp":"0"}`)
	datasetstest.Equal(t, lake, "dead_avro")
	if got := datasetstest.Folders(t, lake, "observations"); !slices.Equal(got, []string{"airport=EWR/month_part=2013-12", "airport=JFK/month_part=2013-01"}) {
		t.Errorf("partitions %q", got)
	}
}

func TestWhatIsNoObservationIsRefused(t *testing.T) {
	good := observations[0]
	datasetstest.Refuses(t, weather.Codec, ``, good[:30], good+",1", good+"\n"+good, "\xff"+good, `"`+good,
		`NA,2013,12,30,18,39.02,26.06,59.37,270,10.3,NA,0,1012,10,2013-12-30T23:00:00Z`,
		`EWR,NA,12,30,18,39.02,26.06,59.37,270,10.3,NA,0,1012,10,2013-12-30T23:00:00Z`,
		`EWR,2013,12,30,18,39.021,26.06,59.37,270,10.3,NA,0,1012,10,2013-12-30T23:00:00Z`,
		`EWR,2013,12,30,18,39.02,26.06,59.37,270,fast,NA,0,1012,10,2013-12-30T23:00:00Z`,
		`EWR,2013,12,30,18,39.02,26.06,59.37,270,10.3,NA,0,1012,10,2013-12-30`)
}
