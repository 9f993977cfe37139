package avro_test

import (
	"bytes"
	"fmt"

	"github.com/hamba/avro/v2/ocf"

	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/avro"
)

// A pipeline takes the constructor, avro.Format or avro.Config{...}.Format, and
// does the rest. By hand a file is written like this.
func ExampleConfig_Format() {
	type Sale struct {
		Country string   `lake:"country"`
		Price   int64    `lake:"price,decimal(18,2)"` // in cents
		Tags    []string `lake:"tags"`
	}
	format, err := avro.Config{Codec: avro.Deflate}.Format[Sale]()
	if err != nil {
		fmt.Println(err)
		return
	}
	var file memory // any sink.FileWriter
	enc, err := format.NewEncoder(&file, sink.FileInfo{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer enc.Abandon()
	if err := enc.Encode([]Sale{{Country: "NL", Price: 1995}}); err != nil {
		fmt.Println(err)
		return
	}
	if err := enc.Close(sink.FileInfo{Rows: 1}); err != nil {
		fmt.Println(err)
		return
	}
	d, err := ocf.NewDecoder(bytes.NewReader(file.Bytes()))
	if err != nil {
		fmt.Println(err)
		return
	}
	for d.HasNext() {
		var row struct {
			Country string    `avro:"country"`
			Tags    *[]string `avro:"tags"`
		}
		if err := d.Decode(&row); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(row.Country, row.Tags == nil)
	}
	fmt.Println(string(d.Metadata()["avro.schema"]), d.Error())
	// Output:
	// NL true
	// {"name":"Sale","type":"record","fields":[{"name":"country","type":"string"},{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}},{"name":"tags","type":["null",{"type":"array","items":"string"}],"default":null}]} <nil>
}
