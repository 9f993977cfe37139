package retail

import (
	"encoding/json/v2"
	"errors"
	"fmt"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/examples/datasets/exact"
)

// line is a line as its producer writes it. Its pointers tell null and missing
// from zero.
type line struct {
	InvoiceNo   *code          `json:"InvoiceNo"`
	StockCode   *code          `json:"StockCode"`
	Description *string        `json:"Description"`
	Quantity    *int64         `json:"Quantity"`
	InvoiceDate *string        `json:"InvoiceDate"`
	UnitPrice   *exact.Decimal `json:"UnitPrice"`
	CustomerID  *exact.Decimal `json:"CustomerID"`
	Country     *string        `json:"Country"`
}

// code is a number where all its characters are digits and a string otherwise, as
// a spreadsheet exports it. It is text in either case.
type code string

// UnmarshalJSON takes a string or a whole number.
func (c *code) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*c = code(s)
		return nil
	}
	d, err := exact.Parse(string(b))
	if err != nil {
		return err
	}
	if _, err := d.Scaled(0); err != nil {
		return err
	}
	*c = code(d)
	return nil
}

// Codec reads lines from JSON.
func Codec() (codec.Decoder[Line], error) { return codec.Map(codec.JSON[line], line.row)() }

func (in line) row() (Line, error) {
	out, err := in.line()
	if err != nil {
		return Line{}, shardlake.Reject(err)
	}
	return out, nil
}

func (in line) line() (out Line, err error) {
	if in.InvoiceNo == nil || in.StockCode == nil || in.Quantity == nil || in.InvoiceDate == nil || in.UnitPrice == nil || in.Country == nil {
		return out, errors.New("not an invoice line: InvoiceNo, StockCode, Quantity, InvoiceDate, UnitPrice or Country is missing")
	}
	out = Line{InvoiceNo: string(*in.InvoiceNo), StockCode: string(*in.StockCode), Description: in.Description, Quantity: *in.Quantity, Country: *in.Country}
	// The shop writes no zone: it is taken as UTC.
	if out.InvoiceDate, err = time.Parse(time.DateTime, *in.InvoiceDate); err != nil {
		return out, fmt.Errorf("InvoiceDate: %w", err)
	}
	if out.UnitPrice, err = in.UnitPrice.Scaled(3); err != nil {
		return out, fmt.Errorf("UnitPrice: %w", err)
	}
	if out.Amount, err = exact.Times(out.Quantity, out.UnitPrice); err != nil {
		return out, fmt.Errorf("the amount: %w", err)
	}
	if in.CustomerID != nil {
		id, err := in.CustomerID.Scaled(0) // 17850.0
		if err != nil {
			return out, fmt.Errorf("CustomerID: %w", err)
		}
		out.CustomerID = &id
	}
	return out, nil
}
