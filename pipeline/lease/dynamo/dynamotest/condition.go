package dynamotest

import (
	"slices"
	"strconv"
	"strings"
)

// condition decides about an item, which has no attributes if it is not there.
type condition func(Item) bool

// operand is one side of a comparison; ok is false if the item lacks it.
type operand func(Item) (v Value, ok bool)

// condition reads a condition or filter expression. kind is its name in errors.
func (s *scope) condition(kind, text string) (condition, *Error) {
	toks, err := tokens(kind, text)
	if err != nil {
		return nil, err
	}
	p := &parser{s, kind, toks}
	c, err := p.or()
	if err != nil {
		return nil, err
	}
	if len(p.toks) > 0 {
		return nil, p.syntax(p.peek())
	}
	return c, nil
}

func (p *parser) or() (condition, *Error) {
	left, err := p.and()
	for err == nil && p.keyword("OR") {
		var right condition
		l := left
		right, err = p.and()
		left = func(i Item) bool { return l(i) || right(i) }
	}
	return left, err
}

func (p *parser) and() (condition, *Error) {
	left, err := p.not()
	for err == nil && p.keyword("AND") {
		var right condition
		l := left
		right, err = p.not()
		left = func(i Item) bool { return l(i) && right(i) }
	}
	return left, err
}

func (p *parser) not() (condition, *Error) {
	if p.keyword("NOT") {
		c, err := p.not()
		return func(i Item) bool { return !c(i) }, err
	}
	if p.peek() == "(" {
		p.next()
		c, err := p.or()
		if err == nil {
			err = p.expect(")")
		}
		return c, err
	}
	return p.test()
}

// test reads a function that decides, or a comparison.
func (p *parser) test() (condition, *Error) {
	if len(p.toks) > 1 && p.toks[1] == "(" && p.peek() != "size" {
		return p.function()
	}
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	switch op := strings.ToUpper(p.next()); op {
	case "=", "<>", "<", "<=", ">", ">=":
		right, err := p.operand()
		return func(i Item) bool {
			a, aok := left(i)
			b, bok := right(i)
			return aok && bok && compare(a, op, b)
		}, err
	case "BETWEEN":
		low, err := p.operand()
		if err != nil {
			return nil, err
		}
		if !p.keyword("AND") {
			return nil, p.syntax(p.peek())
		}
		high, err := p.operand()
		return func(i Item) bool {
			v, ok := left(i)
			l, lok := low(i)
			h, hok := high(i)
			return ok && lok && hok && compare(v, ">=", l) && compare(v, "<=", h)
		}, err
	case "IN":
		return p.in(left)
	default:
		return nil, p.syntax(op)
	}
}

func (p *parser) in(left operand) (condition, *Error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	var list []operand
	for {
		o, err := p.operand()
		if err != nil {
			return nil, err
		}
		list = append(list, o)
		switch t := p.next(); t {
		case ",":
		case ")":
			return func(i Item) bool {
				v, ok := left(i)
				return ok && slices.ContainsFunc(list, func(o operand) bool {
					e, ok := o(i)
					return ok && v.equal(e)
				})
			}, nil
		default:
			return nil, p.syntax(t)
		}
	}
}

// function reads attribute_exists and its like.
func (p *parser) function() (condition, *Error) {
	name := p.next()
	p.next() // the parenthesis
	attr, err := p.attribute()
	if err != nil {
		return nil, err
	}
	var arg operand
	switch name {
	case "attribute_exists", "attribute_not_exists":
	case "attribute_type", "begins_with", "contains":
		if err := p.expect(","); err != nil {
			return nil, err
		}
		if arg, err = p.operand(); err != nil {
			return nil, err
		}
	default:
		return nil, invalid("Invalid %s: Invalid function name; function: %s", p.kind, name)
	}
	return func(i Item) bool {
		v, ok := i[attr]
		if name == "attribute_not_exists" {
			return !ok
		}
		if !ok || arg == nil {
			return ok
		}
		a, ok := arg(i)
		if !ok {
			return false
		}
		switch name {
		case "attribute_type":
			return v.Type == a.Text
		case "begins_with":
			return v.Type == a.Type && strings.HasPrefix(v.Text, a.Text)
		}
		return v.contains(a)
	}, p.expect(")")
}

func (v Value) contains(e Value) bool {
	switch v.Type {
	case "S", "B":
		return v.Type == e.Type && strings.Contains(v.Text, e.Text)
	case "SS", "NS", "BS":
		return v.Type == e.Type+"S" && slices.Contains(v.Set, e.Text)
	case "L":
		return slices.ContainsFunc(v.List, e.equal)
	}
	return false
}

// operand reads an attribute, a value, or the size of an attribute.
func (p *parser) operand() (operand, *Error) {
	if strings.HasPrefix(p.peek(), ":") {
		v, err := p.value()
		return func(Item) (Value, bool) { return v, true }, err
	}
	if p.peek() == "size" && len(p.toks) > 1 && p.toks[1] == "(" {
		p.next()
		p.next()
		attr, err := p.attribute()
		if err != nil {
			return nil, err
		}
		return func(i Item) (Value, bool) {
			v, ok := i[attr]
			n := v.size()
			switch v.Type {
			case "SS", "NS", "BS":
				n = len(v.Set)
			case "L":
				n = len(v.List)
			case "M":
				n = len(v.Map)
			}
			return N(strconv.Itoa(n)), ok
		}, p.expect(")")
	}
	attr, err := p.attribute()
	return func(i Item) (Value, bool) { v, ok := i[attr]; return v, ok }, err
}

// compare says whether two values stand in a relation. Values of different types
// are unequal, and in no order.
func compare(a Value, op string, b Value) bool {
	switch op {
	case "=":
		return a.equal(b)
	case "<>":
		return !a.equal(b)
	}
	if a.Type != b.Type {
		return false
	}
	var order int
	switch a.Type {
	case "S", "B":
		order = strings.Compare(a.Text, b.Text)
	case "N":
		order = rational(a.Text).Cmp(rational(b.Text))
	default:
		return false
	}
	switch op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}
