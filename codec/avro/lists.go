package avro

import (
	"fmt"
	"reflect"
	"unsafe"

	"github.com/shardlake/shardlake/internal/schema"
)

// firstElements is the most that a list has room for when its first block begins:
// room beyond it is taken as elements come.
const firstElements = 64

func (c *compiler) list(n *node, f *schema.Field) (step, error) {
	t := f.Type.Elem()
	elem, err := c.at(n.elem, place{Field: f.Elem, typ: t})
	if err != nil {
		return nil, err
	}
	least, size := n.elem.smallest(), t.Size()
	return func(s *input, at unsafe.Pointer) error {
		if err := s.enter(); err != nil {
			return err
		}
		defer s.leave()
		list := reflect.NewAt(f.Type, at).Elem()
		list.Set(reflect.MakeSlice(f.Type, 0, 0)) // empty is not null
		for {
			count, end, err := s.block(least, int64(size))
			if err != nil || count == 0 {
				return err
			}
			for i := range count {
				n := list.Len()
				if n == list.Cap() {
					list.Grow(min(count-i, max(n, firstElements)))
				}
				list.SetLen(n + 1) // room that Grow took is zero
				if err := elem(s, unsafe.Add(list.UnsafePointer(), uintptr(n)*size)); err != nil {
					return err
				}
			}
			if err := s.ended(end); err != nil {
				return err
			}
		}
	}, nil
}

// entry is about what an entry of a map takes beside its key's text and its value.
const entry = 48

func (c *compiler) mapping(n *node, f *schema.Field) (step, error) {
	t := f.Type.Elem()
	elem, err := c.at(n.elem, place{Field: f.Elem, typ: t})
	if err != nil {
		return nil, err
	}
	least, size := 1+n.elem.smallest(), int64(t.Size())+entry
	// A row's type is finite, so this map is read within none of its own entries.
	key, value := reflect.New(f.Type.Key()).Elem(), reflect.New(t).Elem()
	room := value.Addr().UnsafePointer()
	return func(s *input, at unsafe.Pointer) error {
		if err := s.enter(); err != nil {
			return err
		}
		defer s.leave()
		defer func() { key.SetZero(); value.SetZero() }()
		m := reflect.NewAt(f.Type, at).Elem()
		m.Set(reflect.MakeMap(f.Type)) // empty is not null
		for {
			count, end, err := s.block(least, size)
			if err != nil || count == 0 {
				return err
			}
			for range count {
				k, err := s.text()
				if err != nil {
					return fmt.Errorf("a map's key: %w", err)
				}
				value.SetZero()
				if err := elem(s, room); err != nil {
					return err
				}
				key.SetString(s.string(k))
				before := m.Len()
				if m.SetMapIndex(key, value); m.Len() == before {
					return errTwice
				}
			}
			if err := s.ended(end); err != nil {
				return err
			}
		}
	}, nil
}
