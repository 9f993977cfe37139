package codec

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// dump prints a value with all that it points to, maps in order and zeros with
// their sign.
func dump(v any) string {
	var b strings.Builder
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if v.IsNil() {
				b.WriteString("nil")
				return
			}
			fmt.Fprintf(&b, "&%s ", v.Elem().Type())
			walk(v.Elem())
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() {
				fmt.Fprint(&b, v)
				return
			}
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct {
					b.WriteString(" " + f.Name + ":")
					walk(v.Field(i))
				}
			}
		case reflect.Slice, reflect.Array:
			fmt.Fprintf(&b, "%t[", v.Kind() == reflect.Slice && v.IsNil())
			for i := range v.Len() {
				walk(v.Index(i))
				b.WriteByte(',')
			}
			b.WriteByte(']')
		case reflect.Map:
			fmt.Fprintf(&b, "%t{", v.IsNil())
			keys := v.MapKeys()
			slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			for _, k := range keys {
				fmt.Fprintf(&b, "%q=", fmt.Sprint(k))
				walk(v.MapIndex(k))
			}
			b.WriteByte('}')
		case reflect.Float32, reflect.Float64:
			fmt.Fprintf(&b, "%x", math.Float64bits(v.Float()))
		case reflect.String:
			fmt.Fprintf(&b, "%q", v.String())
		default:
			fmt.Fprint(&b, v)
		}
	}
	walk(reflect.ValueOf(&v).Elem())
	return b.String()
}

// A writer makes documents that fit a type mostly.
type writer struct {
	*rand.Rand
	b    []byte
	wild bool // now and then it puts what does not fit
}

func (w *writer) pick(from ...string) string { return from[w.IntN(len(from))] }

func (w *writer) put(s string) { w.b = append(w.b, s...) }

func (w *writer) space() {
	if w.IntN(12) == 0 {
		w.put(w.pick(" ", "\n", "\t\r\n", "  "))
	}
}

func (w *writer) text() string {
	switch w.IntN(12) {
	case 0:
		return `"` + w.pick(`\n`, `\u00e9`, `\ud83d\ude00`, `\ud800`, `\udc00x`, `\ud800\u0041`, `\/`, `\"\\`, `é`, `世界`, "\U0001F600", `\u0000`, "\u2028") + w.pick("", "abc", "x\x7f") + `"`
	case 1:
		return strconv.Quote(strings.Repeat("0123456789", w.IntN(100)))
	case 2:
		return w.pick(`""`, `"null"`, `"1"`, `"-7"`, `"1.5"`, `"1e3"`, `"AAE="`, `"/+8="`, `"AA"`, `"AA\nE="`, `"2024-02-29T12:00:00Z"`, `"10.0.0.1"`, `"AQIDBA=="`)
	}
	return strconv.Quote("user-" + strconv.Itoa(w.IntN(20)))
}

func (w *writer) odd() bool { return w.wild && w.IntN(60) == 0 }

func (w *writer) number() string {
	if w.odd() {
		return w.pick("01", "-", "1.", ".5", "+1", "1e", "1e+", "NaN", "0x1", "1.e1")
	}
	switch w.IntN(5) {
	case 0:
		return w.pick("0", "-0", "0.0", "-0.0", "1.0", "1e3", "1E-7", "1e400", "1e-400", "-1.5e+10", "9007199254740993", "255", "256", "-128", "-129", "127", "128",
			"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "28446744073709551616",
			"123456789012345678901234567890", "0.1", "0.30000000000000004", "1e22", "1e23", "3.4028235e38", "3.4028236e38", "1.17549435e-38", "16777217", "0.000001", "0.12345678901234567890")
	case 1:
		if f := math.Float64frombits(w.Uint64()); !math.IsNaN(f) {
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
	case 2:
		return strconv.FormatFloat(w.Float64()*1000, 'f', w.IntN(12), 64)
	case 3:
		return strconv.FormatInt(int64(w.Uint64())>>w.IntN(64), 10)
	}
	return strconv.Itoa(w.IntN(100))
}

// numberOf is one that the type holds, mostly.
func (w *writer) numberOf(t reflect.Type) string {
	switch k := t.Kind(); {
	case w.odd():
		return w.number()
	case reflect.Int <= k && k <= reflect.Int64:
		return strconv.FormatInt(int64(w.Uint64())>>(64-t.Bits()+w.IntN(t.Bits())), 10)
	case reflect.Uint <= k && k <= reflect.Uintptr:
		return strconv.FormatUint(w.Uint64()>>(64-t.Bits()+w.IntN(t.Bits())), 10)
	case k == reflect.Float32:
		if f := float64(math.Float32frombits(w.Uint32())); w.IntN(3) == 0 && f-f == 0 {
			return strconv.FormatFloat(f, 'g', 6+w.IntN(6), 64)
		}
		return strconv.FormatFloat(w.NormFloat64()*1000, 'f', w.IntN(12), 64)
	}
	for {
		n := w.number()
		if f, err := strconv.ParseFloat(n, 64); err == nil && f-f == 0 && n[0] != '+' {
			return n
		}
	}
}

func (w *writer) time() string {
	if w.odd() {
		return strconv.Quote(w.pick("2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T23:59:60Z", "2024-01-01T1:00:00Z",
			"2024-01-01T00:00:00,5Z", "2024-01-01T00:00:00.Z", "2024-13-01T00:00:00Z", "2024-00-10T00:00:00Z", "2024-01-00T00:00:00Z", "2024-04-31T00:00:00Z", "2024-01-01t00:00:00z",
			"2024-01-01T00:00:00", "2024-01-01T00:00:00+24:00", "2024-01-01 00:00:00Z", "2024-01-01T00:60:00Z", "20240101T000000Z", "2024-01-01T00:00:00Z ", "x"))
	}
	t := time.Unix(w.Int64N(3e11)-6e10, w.Int64N(1e9)).UTC()
	return strconv.Quote(w.pick(t.Format(time.RFC3339Nano), t.Format(time.RFC3339), t.Format("2006-01-02T15:04:05.000Z07:00"), t.In(time.FixedZone("", 3600*(w.IntN(40)-20))).Format(time.RFC3339Nano),
		"2000-02-29T23:59:59.999999999Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2024-01-01T00:00:00.1234567891Z", "2024-01-01T00:00:00+00:00"))
}

// any puts a value of any sort.
func (w *writer) any(depth int) {
	switch n := w.IntN(9); {
	case n < 2 && depth > 0:
		w.list('[', ']', w.IntN(4), func(int) { w.any(depth - 1) })
	case n < 4 && depth > 0:
		w.list('{', '}', w.IntN(4)*w.IntN(9), func(i int) {
			k := i
			if w.odd() {
				k = 0 // twice
			}
			w.name("k" + strconv.Itoa(k))
			w.any(depth - 1)
		})
	case n < 6:
		w.put(w.text())
	case n < 7:
		if w.odd() {
			w.put(w.pick("nul", "truE", "fals", "x"))
		}
		w.put(w.pick("true", "false", "null"))
	default:
		w.put(w.number())
	}
}

func (w *writer) list(begin, end byte, n int, element func(i int)) {
	w.b = append(w.b, begin)
	for i := range n {
		if w.space(); i > 0 {
			w.put(",")
			w.space()
		}
		element(i)
	}
	w.space()
	w.b = append(w.b, end)
}

func (w *writer) name(s string) {
	if w.IntN(40) == 0 && s != "" {
		s = fmt.Sprintf(`\u%04x`, []rune(s)[0]) + string([]rune(s)[1:])
	}
	w.put(`"` + s + `"`)
	w.space()
	w.put(":")
	w.space()
}

// value puts one that fits the type, mostly.
func (w *writer) value(t reflect.Type, depth int) {
	if w.odd() {
		w.any(2)
		return
	}
	if depth == 0 {
		w.put("null")
		return
	}
	if w.IntN(25) == 0 {
		w.put("null")
		return
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		w.put(w.time())
		return
	case reflect.TypeFor[time.Duration]():
		w.put("null")
		return
	case reflect.TypeFor[json.Number]():
		w.put(w.pick(w.numberOf(reflect.TypeFor[float64]()), `"12"`, `"-1.50"`))
		return
	case reflect.TypeFor[netip.Addr]():
		w.put(w.pick(`"10.0.0.1"`, `"::1"`, `""`, `"\u003a:2"`))
		return
	case reflect.TypeFor[upper]():
		w.put(w.pick(`"abc"`, `"\u00e9t\u00e9"`, `""`, `"ü"`))
		return
	case reflect.TypeFor[picky](), reflect.TypeFor[stream](), reflect.TypeFor[json.RawMessage]():
		w.any(2)
		return
	case reflect.TypeFor[kind]():
		w.put(strconv.Itoa(w.IntN(256)))
		return
	}
	switch t.Kind() {
	case reflect.Bool:
		w.put(w.pick("true", "false"))
	case reflect.String:
		w.put(w.text())
	case reflect.Pointer:
		w.value(t.Elem(), depth)
	case reflect.Slice:
		if t.Elem() == reflect.TypeFor[byte]() {
			w.base64(w.IntN(60))
			return
		}
		w.list('[', ']', w.IntN(3)*w.IntN(2+2*depth), func(int) { w.value(t.Elem(), depth-1) })
	case reflect.Array:
		if t.Elem() == reflect.TypeFor[byte]() {
			w.base64(t.Len())
			return
		}
		n := t.Len()
		if w.odd() {
			n += w.IntN(3) - 1
		}
		w.list('[', ']', n, func(int) { w.value(t.Elem(), depth-1) })
	case reflect.Map:
		w.list('{', '}', w.IntN(4), func(i int) { w.name(strconv.Itoa(i)); w.value(t.Elem(), depth-1) })
	case reflect.Struct:
		w.object(t, depth)
	case reflect.Interface, reflect.Chan:
		w.any(depth)
	default:
		w.put(w.numberOf(t))
	}
}

func (w *writer) base64(n int) {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w.Uint32())
	}
	w.put(strconv.Quote(base64.StdEncoding.EncodeToString(b)))
}

func (w *writer) object(t reflect.Type, depth int) {
	type member struct {
		name string
		typ  reflect.Type
		text bool
	}
	var list []member
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		for i := range t.NumField() {
			f := t.Field(i)
			name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if f.Anonymous && inner.Kind() == reflect.Struct {
				walk(inner)
			} else if w.IntN(8) > 0 && (f.Type != reflect.TypeFor[time.Duration]() && f.Type.Kind() != reflect.Chan || w.odd()) {
				if name == "" {
					name = f.Name
				}
				list = append(list, member{name, f.Type, strings.Contains(rest, "string")})
			}
		}
	}
	walk(t)
	for i := range w.IntN(3) * w.IntN(15) {
		list = append(list, member{name: "other" + strconv.Itoa(i)})
	}
	seen := make(map[string]bool)
	list = slices.DeleteFunc(list, func(m member) bool {
		twice := seen[m.name]
		seen[m.name] = true
		return twice
	})
	if w.odd() && len(list) > 0 {
		list = append(list, list[w.IntN(len(list))]) // twice
	}
	if w.IntN(4) == 0 {
		w.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	w.list('{', '}', len(list), func(i int) {
		w.name(list[i].name)
		switch m := list[i]; {
		case m.typ == nil:
			w.any(3)
		case m.text && !w.odd():
			t := m.typ
			if t.Kind() == reflect.Pointer {
				t = t.Elem()
			}
			w.put(strconv.Quote(w.numberOf(t)))
		default:
			w.value(m.typ, depth-1)
		}
	})
}

// spoil changes a byte or a few.
func (w *writer) spoil() {
	if len(w.b) == 0 {
		return
	}
	i := w.IntN(len(w.b))
	switch w.IntN(6) {
	case 0:
		w.b = w.b[:i]
	case 1:
		w.b = slices.Delete(w.b, i, i+1)
	case 2:
		w.b = slices.Insert(w.b, i, "\"\\{}[]:,0-.e \n\x00\xff\xc3nt"[w.IntN(19)])
	case 3:
		w.b[i] = byte(w.Uint32())
	case 4:
		w.b[i] ^= 1 << w.IntN(8)
	case 5:
		end := min(len(w.b), i+w.IntN(40))
		w.b = slices.Insert(w.b, end, slices.Clone(w.b[i:end])...)
	}
}

// A trial is a type that documents are decoded into.
type trial struct {
	pairing
	typ  reflect.Type
	fast bool // the program decodes nearly all that is accepted
}

func trials(tb testing.TB) []trial {
	return []trial{
		{paired[scalars](tb), reflect.TypeFor[scalars](), true},
		{paired[composites](tb), reflect.TypeFor[composites](), true},
		{paired[options](tb), reflect.TypeFor[options](), false},
		{paired[methods](tb), reflect.TypeFor[methods](), true},
		{paired[embedding](tb), reflect.TypeFor[embedding](), true},
		{paired[conflicting](tb), reflect.TypeFor[conflicting](), true},
		{paired[hidden](tb), reflect.TypeFor[hidden](), false},
		{paired[folded](tb), reflect.TypeFor[folded](), false},
		{paired[fallback](tb), reflect.TypeFor[fallback](), false},
		{paired[wide](tb), reflect.TypeFor[wide](), true},
		{paired[tree](tb), reflect.TypeFor[tree](), true},
		{paired[*tree](tb), reflect.TypeFor[*tree](), true},
		{paired[[]tree](tb), reflect.TypeFor[[]tree](), true},
		{paired[[]*scalars](tb), reflect.TypeFor[[]*scalars](), true},
		{paired[any](tb), reflect.TypeFor[any](), true},
		{paired[map[string]any](tb), reflect.TypeFor[map[string]any](), true},
		{paired[map[string]composites](tb), reflect.TypeFor[map[string]composites](), true},
		{paired[map[named]*string](tb), reflect.TypeFor[map[named]*string](), true},
		{paired[string](tb), reflect.TypeFor[string](), true},
		{paired[int64](tb), reflect.TypeFor[int64](), true},
		{paired[float32](tb), reflect.TypeFor[float32](), true},
		{paired[time.Time](tb), reflect.TypeFor[time.Time](), true},
		{paired[picky](tb), reflect.TypeFor[picky](), true},
		{paired[stream](tb), reflect.TypeFor[stream](), false},
		{paired[[]byte](tb), reflect.TypeFor[[]byte](), true},
		{paired[struct{}](tb), reflect.TypeFor[struct{}](), true},
	}
}

// Documents that fit their type, or nearly, make the row and the refusal that
// encoding/json/v2 makes; rows stay as they are.
func TestJSONAgreesWithV2(t *testing.T) {
	for _, c := range trials(t) {
		t.Run(c.name, func(t *testing.T) {
			w := writer{Rand: rand.New(rand.NewPCG(7, 7))}
			accepted, fast, refused := 0, 0, 0
			for n := range 300 {
				switch ok, byProgram := c.decode(t, w.document(c.typ, n)); {
				case byProgram:
					fast++
					accepted++
				case ok:
					accepted++
				default:
					refused++
				}
			}
			if accepted == 0 || refused < 15 {
				t.Errorf("the documents are one-sided: %d accepted, %d refused", accepted, refused)
			}
			if c.fast && fast < accepted {
				t.Errorf("of %d documents that are accepted the program decodes %d", accepted, fast)
			}
		})
	}
}

// document makes one for a type: of three one fits, one has what does not, one is
// broken.
func (w *writer) document(t reflect.Type, n int) []byte {
	w.b, w.wild = nil, n%3 == 1
	w.space()
	w.value(t, 3)
	w.space()
	if n%3 == 2 {
		for range 1 + w.IntN(2) {
			w.spoil()
		}
	}
	return w.b
}

// FuzzJSONAgreesWithV2 does so for any bytes and each type.
func FuzzJSONAgreesWithV2(f *testing.F) {
	all := trials(f)
	w := writer{Rand: rand.New(rand.NewPCG(1, 1))}
	for i, c := range all {
		for n := range 3 {
			f.Add(uint8(i), w.document(c.typ, n))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		all[int(which)%len(all)].decode(t, slices.Clone(data))
	})
}
