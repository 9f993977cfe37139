package registry

import "container/list"

// recent keeps the values that were used last.
type recent[V any] struct {
	most  int
	at    map[ID]*list.Element
	order *list.List // of pair[V], the one used last in front
}

type pair[V any] struct {
	id    ID
	value V
}

func newRecent[V any](most int) recent[V] {
	return recent[V]{most: most, at: map[ID]*list.Element{}, order: list.New()}
}

func (r *recent[V]) get(id ID) (v V, ok bool) {
	e := r.at[id]
	if e == nil {
		return v, false
	}
	r.order.MoveToFront(e)
	return e.Value.(pair[V]).value, true
}

func (r *recent[V]) put(id ID, v V) {
	if e := r.at[id]; e != nil {
		e.Value = pair[V]{id, v}
		r.order.MoveToFront(e)
		return
	}
	if r.order.Len() >= r.most {
		last := r.order.Back()
		delete(r.at, last.Value.(pair[V]).id)
		r.order.Remove(last)
	}
	r.at[id] = r.order.PushFront(pair[V]{id, v})
}
