package retail_test

import (
	"slices"
	"testing"

	"github.com/shardlake/shardlake/examples/datasets/datasetstest"
	"github.com/shardlake/shardlake/examples/datasets/retail"
)

var lines = []string{
	`{"InvoiceNo":536365,"StockCode":"85123A","Description":" POST £ \"A\" ","Quantity":6,"InvoiceDate":"2010-12-01 08:26:00","UnitPrice":2.55,"CustomerID":17850.0,"Country":"United Kingdom"}`,
	`{"InvoiceNo":"C536379","StockCode":22086,"Description":null,"Quantity":-2,"InvoiceDate":"2010-12-01 08:26:00","UnitPrice":0.001,"CustomerID":null,"Country":"France"}`,
	`{"InvoiceNo":536370,"StockCode":22086,"Description":"X","Quantity":3,"InvoiceDate":"2010-12-01 09:00:00","UnitPrice":0.1,"CustomerID":12583.0,"Country":"France"}`,
}

func TestPipeline(t *testing.T) {
	rows := datasetstest.Decode(t, retail.Codec, lines...)
	lake := datasetstest.Run(t, retail.Build, retail.Line.When, rows...)
	back := `{"amount":"-0.002","country":"France","customer_id":null,"description":null,"invoice_date":"2010-12-01T08:26:00Z","invoice_no":"C536379","quantity":-2,"stock_code":"22086","unit_price":"0.001"}`
	datasetstest.Equal(t, lake, "lines_avro", back,
		`{"amount":"15.3","country":"United Kingdom","customer_id":17850,"description":" POST £ \"A\" ","invoice_date":"2010-12-01T08:26:00Z","invoice_no":"536365","quantity":6,"stock_code":"85123A","unit_price":"2.55"}`,
		`{"amount":"0.3","country":"France","customer_id":12583,"description":"X","invoice_date":"2010-12-01T09:00:00Z","invoice_no":"536370","quantity":3,"stock_code":"22086","unit_price":"0.1"}`)
	datasetstest.Equal(t, lake, "taken_back", back)
	datasetstest.Equal(t, lake, "hour_country_avro",
		`{"count":1,"country":"United Kingdom","hour_start":"2010-12-01T08:00:00Z","null_customer":0,"sum_amount":"15.3","sum_quantity":6}`,
		`{"count":1,"country":"France","hour_start":"2010-12-01T08:00:00Z","null_customer":1,"sum_amount":"-0.002","sum_quantity":-2}`,
		`{"count":1,"country":"France","hour_start":"2010-12-01T09:00:00Z","null_customer":0,"sum_amount":"0.3","sum_quantity":3}`)
	datasetstest.Equal(t, lake, "dead_avro")
	if got := datasetstest.Folders(t, lake, "lines"); !slices.Equal(got, []string{"country_part=France", "country_part=United Kingdom"}) {
		t.Errorf("partitions %q", got)
	}
}

func TestWhatIsNoLineIsRefused(t *testing.T) {
	datasetstest.Refuses(t, retail.Codec, ``, `{}`, `[]`, lines[0][:100], lines[0]+lines[1],
		`{"InvoiceNo":5.5,"StockCode":1,"Quantity":1,"InvoiceDate":"2010-12-01 08:26:00","UnitPrice":1,"Country":"A"}`,
		`{"InvoiceNo":true,"StockCode":1,"Quantity":1,"InvoiceDate":"2010-12-01 08:26:00","UnitPrice":1,"Country":"A"}`,
		`{"InvoiceNo":1,"StockCode":1,"Quantity":1,"InvoiceDate":"2010-12-01T08:26:00Z","UnitPrice":1,"Country":"A"}`,
		`{"InvoiceNo":1,"StockCode":1,"Quantity":1,"InvoiceDate":"2010-12-01 08:26:00","UnitPrice":1.0001,"Country":"A"}`,
		`{"InvoiceNo":1,"StockCode":1,"Quantity":1,"InvoiceDate":"2010-12-01 08:26:00","UnitPrice":"1","Country":"A"}`,
		`{"InvoiceNo":1,"StockCode":1,"Quantity":9223372036854775807,"InvoiceDate":"2010-12-01 08:26:00","UnitPrice":1,"Country":"A"}`,
		`{"InvoiceNo":1,"StockCode":1,"Quantity":1,"InvoiceDate":"2010-12-01 08:26:00","UnitPrice":1,"CustomerID":1.5,"Country":"A"}`)
}
