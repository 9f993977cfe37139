package weather

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/examples/datasets/exact"
)

// columns is the header of the file, which is not put on the stream.
var columns = [...]string{"origin", "year", "month", "day", "hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib", "time_hour"}

// Codec reads observations, each from one line of CSV.
func Codec() (codec.Decoder[Observation], error) { return codec.Func(decode)() }

func decode(r *shardlake.Record) (Observation, error) {
	o, err := parse(r.Data)
	if err != nil {
		return Observation{}, shardlake.Reject(err)
	}
	return o, nil
}

func parse(data []byte) (o Observation, err error) {
	if !utf8.Valid(data) {
		return o, errors.New("csv: the line is not UTF-8")
	}
	in := csv.NewReader(bytes.NewReader(data))
	in.FieldsPerRecord = len(columns)
	cells, err := in.Read()
	if err != nil {
		return o, fmt.Errorf("csv: %w", err)
	}
	if _, err := in.Read(); !errors.Is(err, io.EOF) {
		return o, errors.New("csv: more than one line in a record")
	}
	if cells[0] == "" || cells[0] == na {
		return o, errors.New("csv: origin is missing")
	}
	o.Origin = cells[0]
	f := fields{cells: cells}
	o.Year, o.Month, o.Day, o.Hour = f.must(1), f.must(2), f.must(3), f.must(4)
	o.Temp, o.Dewp, o.Humid = f.decimal(5, 2), f.decimal(6, 2), f.decimal(7, 2)
	o.WindDir, o.WindSpeed, o.WindGust = f.whole(8), f.float(9), f.float(10)
	o.Precip, o.Pressure, o.Visib = f.decimal(11, 2), f.decimal(12, 1), f.decimal(13, 2)
	if o.TimeHour, err = time.Parse(time.RFC3339, cells[14]); err != nil {
		f.note(14, err)
	}
	o.TimeHour = o.TimeHour.UTC()
	return o, f.err
}

const na = "NA"

// fields reads cells and keeps the first error.
type fields struct {
	cells []string
	err   error
}

func (f *fields) note(i int, err error) {
	if f.err == nil && err != nil {
		f.err = fmt.Errorf("csv: %s: %w", columns[i], err)
	}
}

func (f *fields) must(i int) int32 {
	n, err := strconv.ParseInt(f.cells[i], 10, 32)
	f.note(i, err)
	return int32(n)
}

func (f *fields) whole(i int) *int32 {
	if f.cells[i] == na {
		return nil
	}
	n := f.must(i)
	return &n
}

// number reads a cell with all its digits; false means null or an error.
func (f *fields) number(i int) (exact.Decimal, bool) {
	if f.cells[i] == na {
		return "", false
	}
	d, err := exact.Parse(f.cells[i])
	f.note(i, err)
	return d, err == nil
}

func (f *fields) decimal(i, scale int) *int64 {
	d, ok := f.number(i)
	if !ok {
		return nil
	}
	n, err := d.Scaled(scale)
	f.note(i, err)
	return &n
}

func (f *fields) float(i int) *float64 {
	d, ok := f.number(i)
	if !ok {
		return nil
	}
	v := d.Float64()
	return &v
}
