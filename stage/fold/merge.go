package fold

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"
)

// Merge makes one row of two with the same key and window: the body of a row
// type's method Merge.
//
// A field whose pointer has a method Merge(T), T being the field's type, is
// merged by it: the types of this package, the sketches, and your own. A pointer
// to such a type is merged where both rows have one, and taken where one has. A
// struct without that method is gone through field by field. A field tagged
// fold:"-" stays as dst has it: the span of a session, which differs between two
// that meet, and which SetWindow writes in the end. All other fields are the key,
// and must be equal in both rows; nothing is changed before that is known.
//
// It panics, with what is wrong and the remedy, if fields of the key differ, or if
// [Check] has an error for the type. A panic in a stage is an error of that stage.
// src is not changed, and dst shares nothing with it that later changes.
func Merge[Row any](dst *Row, src Row) {
	p := planOf(reflect.TypeFor[Row]())
	if p.err != nil {
		panic(p.err.Error())
	}
	d, s := reflect.ValueOf(dst).Elem(), reflect.ValueOf(&src).Elem()
	for _, k := range p.keys {
		if !k.equal(d, s) {
			panic(fmt.Sprintf("fold: rows of type %v differ in field %s, which is part of their key: "+
				"merge rows of one key and window, make the field a fold, or tag it fold:\"-\" if SetWindow writes it", p.row, k.name))
		}
	}
	for _, f := range p.folds {
		f.merge(d.FieldByIndex(f.index), s.FieldByIndex(f.index))
	}
}

// Check tells why [Merge] does not work for Row, which must be a struct with
// exported fields, at least one of them a fold: what a test of the row type calls.
func Check[Row any]() error { return planOf(reflect.TypeFor[Row]()).err }

// plan is how rows of a type are merged. It is immutable.
type plan struct {
	row   reflect.Type
	keys  []part
	folds []part
	err   error
}

// part is a field of the row, or one of a struct in it.
type part struct {
	name   string
	index  []int
	method int // of its pointer's type, if it is a fold
}

// planned remembers the pure function compile. It holds one plan for each row type
// that the program names in a call: their number is fixed when it is built.
type planned struct{ byType sync.Map }

var plans planned

func planOf(t reflect.Type) *plan {
	if p, ok := plans.byType.Load(t); ok {
		return p.(*plan)
	}
	p, _ := plans.byType.LoadOrStore(t, compile(t))
	return p.(*plan)
}

func compile(t reflect.Type) *plan {
	p := &plan{row: t}
	if t.Kind() != reflect.Struct {
		p.err = fmt.Errorf("fold: rows of type %v cannot be merged by their fields: use a struct", t)
		return p
	}
	errs := p.add(t, "", nil)
	if len(p.folds) == 0 && len(errs) == 0 {
		errs = append(errs, errors.New("no field is a fold: give one a type with a method Merge"))
	}
	if len(errs) > 0 {
		p.err = fmt.Errorf("fold: rows of type %v cannot be merged by their fields: %w", t, errors.Join(errs...))
	}
	return p
}

func (p *plan) add(t reflect.Type, above string, index []int) (errs []error) {
	for i := range t.NumField() {
		sf := t.Field(i)
		name := strings.TrimPrefix(above+"."+sf.Name, ".")
		f := part{name: name, index: append(index[:len(index):len(index)], i), method: -1}
		inner := sf.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch method, ok := mergeOf(inner); {
		case sf.Anonymous && ok:
			errs = append(errs, fmt.Errorf("field %s: an embedded fold lends its methods to the whole row: give it a name", name))
		case sf.Tag.Get("fold") == "-":
		case sf.Tag.Get("fold") != "":
			errs = append(errs, fmt.Errorf("field %s: the tag fold:%q means nothing: there is only \"-\"", name, sf.Tag.Get("fold")))
		case !sf.IsExported() && !(sf.Anonymous && sf.Type.Kind() == reflect.Struct):
			errs = append(errs, fmt.Errorf("field %s is not exported", name))
		case ok:
			f.method = method
			p.folds = append(p.folds, f)
		case sf.Type.Kind() == reflect.Struct && holdsFolds(sf.Type, nil):
			errs = append(errs, p.add(sf.Type, name, f.index)...)
		case holdsFolds(sf.Type, nil):
			errs = append(errs, fmt.Errorf("field %s: folds behind a %v have no rule to merge: give its type a method Merge", name, sf.Type))
		default:
			p.keys = append(p.keys, f)
		}
	}
	return errs
}

// mergeOf returns the number of the method Merge(T) of *T.
func mergeOf(t reflect.Type) (int, bool) {
	m, ok := reflect.PointerTo(t).MethodByName("Merge")
	return m.Index, ok && m.Type.NumIn() == 2 && m.Type.In(1) == t && m.Type.NumOut() == 0
}

// holdsFolds tells whether a fold lies anywhere in t.
func holdsFolds(t reflect.Type, above map[reflect.Type]bool) bool {
	if _, ok := mergeOf(t); ok {
		return true
	}
	if above[t] {
		return false
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return holdsFolds(t.Elem(), above)
	case reflect.Struct:
		if above == nil {
			above = map[reflect.Type]bool{}
		}
		above[t] = true
		for sf := range t.Fields() {
			if sf.IsExported() && holdsFolds(sf.Type, above) {
				return true
			}
		}
	}
	return false
}

func (f part) equal(dst, src reflect.Value) bool {
	a, b := dst.FieldByIndex(f.index).Interface(), src.FieldByIndex(f.index).Interface()
	if at, ok := a.(time.Time); ok { // == would compare locations
		return at.Equal(b.(time.Time))
	}
	return reflect.DeepEqual(a, b)
}

func (f part) merge(dst, src reflect.Value) {
	if dst.Kind() == reflect.Pointer {
		if src.IsNil() {
			return
		}
		if dst.IsNil() { // merged into a zero one, so that nothing is shared
			dst.Set(reflect.New(dst.Type().Elem()))
		}
		dst, src = dst.Elem(), src.Elem()
	}
	dst.Addr().Method(f.method).Call([]reflect.Value{src})
}
