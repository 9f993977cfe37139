package quakes

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/examples/datasets/exact"
)

// feature is a quake as GeoJSON.
type feature struct {
	ID         string      `json:"id"`
	Type       string      `json:"type"`
	Properties *properties `json:"properties"`
	Geometry   *struct {
		Type        string          `json:"type"`
		Coordinates []exact.Decimal `json:"coordinates"`
	} `json:"geometry"`
}

type properties struct {
	Mag     *exact.Decimal `json:"mag"`
	Place   string         `json:"place"`
	Time    *int64         `json:"time"` // epoch milliseconds
	Updated *int64         `json:"updated"`
	TZ      int32          `json:"tz"`
	URL     string         `json:"url"`
	Detail  string         `json:"detail"`
	Felt    *int32         `json:"felt"`
	CDI     *exact.Decimal `json:"cdi"`
	MMI     *exact.Decimal `json:"mmi"`
	Alert   *string        `json:"alert"`
	Status  string         `json:"status"`
	Tsunami int32          `json:"tsunami"`
	Sig     int32          `json:"sig"`
	Net     string         `json:"net"`
	Code    string         `json:"code"`
	IDs     string         `json:"ids"`
	Sources string         `json:"sources"`
	Types   string         `json:"types"`
	NST     *int32         `json:"nst"`
	Dmin    *exact.Decimal `json:"dmin"`
	RMS     *exact.Decimal `json:"rms"`
	Gap     *exact.Decimal `json:"gap"`
	MagType *string        `json:"magType"`
	Type    string         `json:"type"`
	Title   string         `json:"title"`
}

// Codec reads quakes from GeoJSON features.
func Codec() (codec.Decoder[Quake], error) { return codec.Map(codec.JSON[feature], feature.row)() }

func (f feature) row() (Quake, error) {
	q, err := f.quake()
	if err != nil {
		return Quake{}, shardlake.Reject(err)
	}
	return q, nil
}

func (f feature) quake() (Quake, error) {
	p := f.Properties
	switch {
	case f.ID == "" || f.Type != "Feature" || p == nil || f.Geometry == nil || p.Time == nil || p.Updated == nil || p.Net == "":
		return Quake{}, errors.New("not a quake: id, type, geometry, time, updated or net is missing")
	case f.Geometry.Type != "Point" || len(f.Geometry.Coordinates) != 3:
		return Quake{}, errors.New("its geometry is not a point of three numbers")
	case p.Tsunami != 0 && p.Tsunami != 1:
		return Quake{}, fmt.Errorf("tsunami is %d: want 0 or 1", p.Tsunami)
	}
	q := Quake{
		ID: f.ID, Time: time.UnixMilli(*p.Time).UTC(), Updated: time.UnixMilli(*p.Updated).UTC(), TZMinutes: p.TZ, MagType: p.MagType,
		Place: p.Place, URL: p.URL, Detail: p.Detail, Felt: p.Felt, Alert: p.Alert, Status: p.Status, Tsunami: p.Tsunami == 1,
		Sig: p.Sig, Net: p.Net, Code: p.Code, IDs: list(p.IDs), Sources: list(p.Sources), Types: list(p.Types), NST: p.NST, Type: p.Type, Title: p.Title,
	}
	if p.Dmin != nil {
		d := p.Dmin.Float64()
		q.Dmin = &d
	}
	for _, c := range f.Geometry.Coordinates {
		q.Point.Coordinates = append(q.Point.Coordinates, c.Float64())
	}
	var errs [6]error
	q.Mag, errs[0] = scaled("mag", p.Mag, 2)
	q.CDI, errs[1] = scaled("cdi", p.CDI, 1)
	q.MMI, errs[2] = scaled("mmi", p.MMI, 2)
	q.RMS, errs[3] = scaled("rms", p.RMS, 4)
	q.Gap, errs[4] = scaled("gap", p.Gap, 2)
	errs[5] = q.Point.set(f.Geometry.Coordinates)
	return q, errors.Join(errs[:]...)
}

func (p *Point) set(c []exact.Decimal) (err error) {
	for i, to := range []*int64{&p.Longitude, &p.Latitude, &p.DepthKM} {
		if *to, err = c[i].Scaled(7); err != nil {
			return fmt.Errorf("coordinates: %w", err)
		}
	}
	return nil
}

func scaled(name string, d *exact.Decimal, scale int) (*int64, error) {
	if d == nil {
		return nil, nil
	}
	n, err := d.Scaled(scale)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &n, nil
}

// list splits ",a,b,", as the feed writes lists.
func list(s string) []string {
	s = strings.Trim(s, ",")
	if s == "" {
		return []string{}
	}
	return strings.Split(s, ",")
}
