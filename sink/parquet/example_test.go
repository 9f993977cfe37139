package parquet_test

import (
	"bytes"
	"fmt"
	"time"

	pq "github.com/parquet-go/parquet-go"

	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/parquet"
)

// A pipeline takes the constructor, parquet.Format or parquet.Config{...}.Format,
// and does the rest. By hand a file is written like this.
func ExampleConfig_Format() {
	type Sale struct {
		At      time.Time `lake:"at"`
		Country string    `lake:"country"`
		Price   int64     `lake:"price,decimal(18,2)"` // in cents
		Coupon  *string   `lake:"coupon"`
		Tags    []string  `lake:"tags"`
	}
	format, err := parquet.Config{Compression: parquet.Snappy}.Format[Sale]()
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
	f, err := pq.OpenFile(bytes.NewReader(file.Bytes()), int64(file.Len()))
	fmt.Println(f.Schema(), err)
	// Output:
	// message schema {
	// 	required int64 at (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
	// 	required binary country (STRING);
	// 	required int64 price (DECIMAL(18,2));
	// 	optional binary coupon (STRING);
	// 	optional group tags (LIST) {
	// 		repeated group list {
	// 			required binary element (STRING);
	// 		}
	// 	}
	// } <nil>
}
