package dynamotest

import (
	"slices"
	"strings"
)

// update is a parsed update expression: what happens to each attribute, all of it
// seeing the item as it was before.
type update struct {
	actions []action
}

type action struct {
	attr  string
	apply func(old Item) (v Value, keep bool, err *Error)
}

// update reads an update expression.
func (s *scope) update(text string) (*update, *Error) {
	const kind = "UpdateExpression"
	toks, err := tokens(kind, text)
	if err != nil {
		return nil, err
	}
	p := &parser{s, kind, toks}
	u := &update{}
	seen := map[string]bool{}
	for len(p.toks) > 0 {
		clause := strings.ToUpper(p.next())
		if seen[clause] {
			return nil, invalid("Invalid UpdateExpression: The %q section can only be used once in an update expression;", clause)
		}
		seen[clause] = true
		for {
			a, err := p.action(clause)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(u.actions, func(o action) bool { return o.attr == a.attr }) {
				return nil, invalid("Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [%s], path two: [%s]", a.attr, a.attr)
			}
			u.actions = append(u.actions, a)
			if p.peek() != "," {
				break
			}
			p.next()
		}
	}
	return u, nil
}

func (p *parser) action(clause string) (action, *Error) {
	switch clause {
	case "SET", "REMOVE", "ADD", "DELETE":
	default:
		return action{}, p.syntax(clause)
	}
	attr, err := p.attribute()
	if err != nil {
		return action{}, err
	}
	switch clause {
	case "REMOVE":
		return action{attr, func(Item) (Value, bool, *Error) { return Value{}, false, nil }}, nil
	case "SET":
		if err := p.expect("="); err != nil {
			return action{}, err
		}
		f, err := p.sum()
		return action{attr, func(old Item) (Value, bool, *Error) { v, err := f(old); return v, true, err }}, err
	}
	v, err := p.value()
	if err != nil {
		return action{}, err
	}
	if clause == "ADD" {
		return action{attr, func(old Item) (Value, bool, *Error) { return add(old, attr, v) }}, nil
	}
	return action{attr, func(old Item) (Value, bool, *Error) { return subtract(old, attr, v) }}, nil
}

// term is a value that an item gives.
type term func(Item) (Value, *Error)

// sum reads "operand", "operand + operand" or "operand - operand".
func (p *parser) sum() (term, *Error) {
	left, err := p.term()
	if err != nil || p.peek() != "+" && p.peek() != "-" {
		return left, err
	}
	minus := p.next() == "-"
	right, err := p.term()
	return func(i Item) (Value, *Error) {
		a, err := left(i)
		if err != nil {
			return a, err
		}
		b, err := right(i)
		if err != nil {
			return b, err
		}
		if a.Type != "N" || b.Type != "N" {
			return a, invalid("An operand in the update expression has an incorrect data type")
		}
		n, nerr := sum(a.Text, b.Text, minus)
		if nerr != nil {
			return a, asError(nerr)
		}
		return N(n), nil
	}, err
}

func (p *parser) term() (term, *Error) {
	switch t := p.peek(); {
	case strings.HasPrefix(t, ":"):
		v, err := p.value()
		return func(Item) (Value, *Error) { return v, nil }, err
	case t == "if_not_exists" && len(p.toks) > 1 && p.toks[1] == "(":
		p.next()
		p.next()
		attr, err := p.attribute()
		if err != nil {
			return nil, err
		}
		if err := p.expect(","); err != nil {
			return nil, err
		}
		other, err := p.term()
		if err != nil {
			return nil, err
		}
		return func(i Item) (Value, *Error) {
			if v, ok := i[attr]; ok {
				return v, nil
			}
			return other(i)
		}, p.expect(")")
	case len(p.toks) > 1 && p.toks[1] == "(":
		return nil, missing("the function %s in an update expression", t)
	}
	attr, err := p.attribute()
	return func(i Item) (Value, *Error) {
		v, ok := i[attr]
		if !ok {
			return v, invalid("The provided expression refers to an attribute that does not exist in the item")
		}
		return v, nil
	}, err
}

// add is ADD: of a number, from 0, or of the elements of a set.
func add(old Item, attr string, v Value) (Value, bool, *Error) {
	now, ok := old[attr]
	switch {
	case v.Type != "N" && len(v.Type) != 2:
		return v, true, invalid("Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD, operand type: %s", v.Type)
	case !ok:
		return v, true, nil
	case now.Type != v.Type:
		return v, true, invalid("An operand in the update expression has an incorrect data type")
	case v.Type == "N":
		n, err := sum(now.Text, v.Text, false)
		if err != nil {
			return v, true, asError(err)
		}
		return N(n), true, nil
	}
	set := slices.Concat(now.Set, v.Set)
	slices.Sort(set)
	return Value{Type: v.Type, Set: slices.Compact(set)}, true, nil
}

// subtract is DELETE: of elements of a set. An attribute without any goes.
func subtract(old Item, attr string, v Value) (Value, bool, *Error) {
	now, ok := old[attr]
	switch {
	case len(v.Type) != 2:
		return v, true, invalid("Invalid UpdateExpression: Incorrect operand type for operator or function; operator: DELETE, operand type: %s", v.Type)
	case !ok:
		return v, false, nil
	case now.Type != v.Type:
		return v, true, invalid("An operand in the update expression has an incorrect data type")
	}
	set := slices.DeleteFunc(slices.Clone(now.Set), func(s string) bool { return slices.Contains(v.Set, s) })
	return Value{Type: v.Type, Set: set}, len(set) > 0, nil
}

// of returns the item after the update, and the names of what it touched.
func (u *update) of(old Item) (Item, []string, *Error) {
	now := old.Clone()
	if now == nil {
		now = Item{}
	}
	var touched []string
	for _, a := range u.actions {
		v, keep, err := a.apply(old)
		if err != nil {
			return nil, nil, err
		}
		touched = append(touched, a.attr)
		if keep {
			now[a.attr] = v.clone()
		} else {
			delete(now, a.attr)
		}
	}
	return now, touched, nil
}
