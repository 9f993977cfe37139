package dynamo

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// expr is an update under a condition, in the making. Every attribute is written
// by a placeholder, since names may be reserved words.
type expr struct {
	names  map[string]string
	values attrs
	sets   []string
	drops  []string
	conds  []string
	item   attrs // what set was given: an item to put
}

func newExpr() *expr {
	return &expr{names: map[string]string{}, values: attrs{}, item: attrs{}}
}

// attr is the placeholder of an attribute.
func (e *expr) attr(name string) string {
	e.names["#"+name] = name
	return "#" + name
}

// val is the placeholder of a value.
func (e *expr) val(v types.AttributeValue) string {
	p := fmt.Sprintf(":v%d", len(e.values))
	e.values[p] = v
	return p
}

// set sets an attribute, or removes it if v is nil.
func (e *expr) set(name string, v types.AttributeValue) {
	if v == nil {
		e.drop(name)
		return
	}
	e.item[name] = v
	e.sets = append(e.sets, e.attr(name)+" = "+e.val(v))
}

// setText sets a string, or removes the attribute if it is empty.
func (e *expr) setText(name, s string) {
	if s == "" {
		e.drop(name)
		return
	}
	e.set(name, text(s))
}

// add adds 1 to an attribute that is there.
func (e *expr) add(name string) {
	e.sets = append(e.sets, e.attr(name)+" = "+e.attr(name)+" + "+e.val(number(1)))
}

// copy sets an attribute to what another one holds now, or to a value if it is not
// there.
func (e *expr) copy(to, from string, otherwise types.AttributeValue) {
	e.sets = append(e.sets, fmt.Sprintf("%s = if_not_exists(%s, %s)", e.attr(to), e.attr(from), e.val(otherwise)))
}

func (e *expr) drop(names ...string) {
	for _, n := range names {
		e.drops = append(e.drops, e.attr(n))
	}
}

// is wants an attribute to have a value.
func (e *expr) is(name string, v types.AttributeValue) {
	e.conds = append(e.conds, e.attr(name)+" = "+e.val(v))
}

// isText wants an attribute to be a string; empty stands for no attribute.
func (e *expr) isText(name, s string) {
	if s == "" {
		e.absent(name)
		return
	}
	e.is(name, text(s))
}

// isCount wants an attribute to be a number; no attribute stands for 0.
func (e *expr) isCount(name string, n uint64) {
	if n == 0 {
		e.conds = append(e.conds, fmt.Sprintf("(attribute_not_exists(%s) OR %s = %s)", e.attr(name), e.attr(name), e.val(unsigned(0))))
		return
	}
	e.is(name, unsigned(n))
}

// isAtMost wants a number not to be larger; no attribute will do.
func (e *expr) isAtMost(name string, v types.AttributeValue) {
	e.conds = append(e.conds, fmt.Sprintf("(attribute_not_exists(%s) OR %s <= %s)", e.attr(name), e.attr(name), e.val(v)))
}

func (e *expr) absent(name string) {
	e.conds = append(e.conds, fmt.Sprintf("attribute_not_exists(%s)", e.attr(name)))
}

func (e *expr) exists(name string) {
	e.conds = append(e.conds, fmt.Sprintf("attribute_exists(%s)", e.attr(name)))
}

// update is the text of the update expression.
func (e *expr) update() *string {
	var parts []string
	if len(e.sets) > 0 {
		parts = append(parts, "SET "+strings.Join(e.sets, ", "))
	}
	if len(e.drops) > 0 {
		parts = append(parts, "REMOVE "+strings.Join(e.drops, ", "))
	}
	s := strings.Join(parts, " ")
	return &s
}

// condition is the text of the condition expression.
func (e *expr) condition() *string {
	s := strings.Join(e.conds, " AND ")
	return &s
}
