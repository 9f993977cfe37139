// Package schematest has row types with every kind of column, random rows of
// them, and a plain reading of rows by reflection: what tests of file formats
// compare with what they read back.
package schematest

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"time"

	"github.com/shardlake/shardlake"
)

// Inner is a struct inside a row.
type Inner struct {
	A string   `lake:"a"`
	B *int64   `lake:"b"`
	C []string `lake:"c"`
}

// Embedded is inlined.
type Embedded struct {
	E1 int32   `lake:"e1"`
	E2 *string `lake:"e2"`
}

// Every has each kind of column, plain and optional.
type Every struct {
	Embedded
	Bool bool               `lake:"bool"`
	I    int                `lake:"i"`
	I8   int8               `lake:"i8"`
	I16  int16              `lake:"i16"`
	I32  int32              `lake:"i32"`
	I64  int64              `lake:"i64"`
	U    uint               `lake:"u"`
	U8   uint8              `lake:"u8"`
	U16  uint16             `lake:"u16"`
	U32  uint32             `lake:"u32"`
	U64  uint64             `lake:"u64"`
	F32  float32            `lake:"f32"`
	F64  float64            `lake:"f64"`
	S    string             `lake:"s"`
	B    []byte             `lake:"b"`
	BR   []byte             `lake:"br,required"`
	F4   [4]byte            `lake:"f4"`
	ID   [16]byte           `lake:"id,uuid"`
	IDL  [16]byte           `lake:"idl,uuid,logical"`
	T    time.Time          `lake:"t"`
	TM   time.Time          `lake:"tm,millis"`
	D    time.Time          `lake:"d,date"`
	In   shardlake.Instant  `lake:"in"`
	InM  shardlake.Instant  `lake:"inm,millis"`
	InD  *shardlake.Instant `lake:"ind,date"`
	Dur  time.Duration      `lake:"dur"`
	Dec  int64              `lake:"dec,decimal(18,3)"`
	Dec9 int32              `lake:"dec9,decimal(9,2)"`
	J    json.RawMessage    `lake:"j,logical"`
	JS   string             `lake:"js,json"`
	JB   []byte             `lake:"jb,json"`

	PB    *bool      `lake:"pb"`
	PI8   *int8      `lake:"pi8"`
	PI    *int64     `lake:"pi"`
	PU    *uint64    `lake:"pu"`
	PF32  *float32   `lake:"pf32"`
	PF    *float64   `lake:"pf"`
	PS    *string    `lake:"ps"`
	PBy   *[]byte    `lake:"pby"`
	PF4   *[4]byte   `lake:"pf4"`
	PID   *[16]byte  `lake:"pid,uuid"`
	PIDL  *[16]byte  `lake:"pidl,uuid,logical"`
	PT    *time.Time `lake:"pt"`
	PTM   *time.Time `lake:"ptm,millis"`
	PD    *time.Time `lake:"pd,date"`
	PDec  *int64     `lake:"pdec,decimal(12,2)"`
	Opt   int64      `lake:"opt,optional"`
	Zero  string     `lake:"zero,omitzero"`
	ZeroI int32      `lake:"zeroi,omitzero"`
	ZeroT time.Time  `lake:"zerot,omitzero"`
}

// Nested has lists, maps and structs in each other.
type Nested struct {
	L    []string            `lake:"l"`
	LR   []int32             `lake:"lr,required"`
	LP   []*string           `lake:"lp"`
	LB   [][]byte            `lake:"lb"`
	LL   [][]int64           `lake:"ll"`
	LT   []time.Time         `lake:"lt,millis"`
	LD   []int64             `lake:"ld,decimal(9,3)"`
	LS   []Inner             `lake:"ls"`
	LPS  []*Inner            `lake:"lps"`
	PL   *[]string           `lake:"pl"`
	M    map[string]string   `lake:"m"`
	MR   map[string]int64    `lake:"mr,required"`
	MP   map[string]*float64 `lake:"mp"`
	ML   map[string][]Inner  `lake:"ml"`
	MM   map[string]map[string]bool
	N    Inner                `lake:"n"`
	PN   *Inner               `lake:"pn"`
	Deep []map[string][]Level `lake:"deep"`
}

// Level is a struct at the bottom of Nested.Deep.
type Level struct {
	X []*Inner `lake:"x"`
	Y [][][]int8
}

// Words are strings that hurt.
var Words = []string{"", "a", "b", "zoë", "🦆🦆", "NULL", "null", "\x00", "a\nb", "\u202e", "x=y/z%", "ÿ", "\U0010FFFF"}

// Random makes values of one seed.
type Random struct{ *rand.Rand }

// NewRandom returns the values of a seed.
func NewRandom(seed uint64) Random { return Random{rand.New(rand.NewPCG(seed, 1))} }

// Int is often an edge of its range.
func (r Random) Int(bits int) int64 {
	switch r.IntN(8) {
	case 0:
		return 0
	case 1:
		return math.MaxInt64 >> (64 - bits)
	case 2:
		return math.MinInt64 >> (64 - bits)
	case 3, 4:
		return int64(r.IntN(4)) - 1
	}
	return int64(r.Uint64()) >> (64 - bits)
}

// Float is often an edge. It is a NaN only for seeds of tests that ask with nan.
func (r Random) Float(nan bool) float64 {
	edges := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64, 1.5}
	if nan && r.IntN(10) == 0 {
		return math.NaN()
	}
	if i := r.IntN(2 * len(edges)); i < len(edges) {
		return edges[i]
	}
	return r.NormFloat64()
}

// Text is one of Words, or unique.
func (r Random) Text() string {
	if r.IntN(4) > 0 {
		return Words[r.IntN(len(Words))]
	}
	b := make([]rune, r.IntN(100))
	for i := range b {
		b[i] = rune(' ' + r.IntN(0x500))
	}
	return string(b)
}

// Time is anywhere in the years 0 to 9999.
func (r Random) Time() time.Time {
	edges := []time.Time{{}, shardlake.MinEventTime.Time(), shardlake.MaxEventTime.Time(), time.Unix(0, 0), time.Unix(-1, 999999999), time.Date(1600, 2, 29, 1, 2, 3, 4, time.UTC), time.Date(3000, 1, 1, 0, 0, 0, 0, time.FixedZone("x", 3600))}
	if i := r.IntN(2 * len(edges)); i < len(edges) {
		return edges[i]
	}
	return shardlake.Instant(int64(shardlake.MinEventTime) + r.Int64N(int64(shardlake.MaxEventTime)-int64(shardlake.MinEventTime))).Time()
}
