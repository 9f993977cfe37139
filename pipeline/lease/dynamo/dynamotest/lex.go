package dynamotest

import (
	"strings"
)

// tokens cuts an expression into names, placeholders and symbols.
func tokens(kind, s string) ([]string, *Error) {
	if len(s) > 4096 {
		return nil, invalid("Invalid %s: Expression size has exceeded the maximum allowed size; expression size: %d", kind, len(s))
	}
	if strings.TrimSpace(s) == "" {
		return nil, invalid("Invalid %s: The expression can not be empty;", kind)
	}
	var out []string
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case word(c) || c == '#' || c == ':':
			j := i + 1
			for j < len(s) && word(s[j]) {
				j++
			}
			if j == i+1 && !word(c) {
				return nil, invalid("Invalid %s: Syntax error; token: %q", kind, s[i:])
			}
			out = append(out, s[i:j])
			i = j
		case strings.HasPrefix(s[i:], "<>") || strings.HasPrefix(s[i:], "<=") || strings.HasPrefix(s[i:], ">="):
			out = append(out, s[i:i+2])
			i += 2
		case strings.IndexByte("=<>(),+-", c) >= 0:
			out = append(out, s[i:i+1])
			i++
		case c == '.' || c == '[':
			return nil, missing("paths into maps and lists: %s", s)
		default:
			return nil, invalid("Invalid %s: Syntax error; token: %q, near: %q", kind, c, s[i:])
		}
	}
	return out, nil
}

func word(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// scope is what the expressions of one request refer to.
type scope struct {
	names      map[string]string
	values     map[string]Value
	usedNames  map[string]bool
	usedValues map[string]bool
}

func newScope(names map[string]string, values map[string]Value) *scope {
	return &scope{names, values, map[string]bool{}, map[string]bool{}}
}

// unused refuses what no expression refers to, as the service does.
func (s *scope) unused() *Error {
	for n := range s.names {
		if !s.usedNames[n] {
			return invalid("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", n)
		}
	}
	for v := range s.values {
		if !s.usedValues[v] {
			return invalid("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", v)
		}
	}
	return nil
}

// parser reads the tokens of one expression.
type parser struct {
	*scope
	kind string
	toks []string
}

func (p *parser) peek() string {
	if len(p.toks) == 0 {
		return ""
	}
	return p.toks[0]
}

func (p *parser) next() string {
	t := p.peek()
	if t != "" {
		p.toks = p.toks[1:]
	}
	return t
}

// keyword takes the next token if it is that word, in any case.
func (p *parser) keyword(w string) bool {
	if strings.EqualFold(p.peek(), w) {
		p.next()
		return true
	}
	return false
}

func (p *parser) expect(tok string) *Error {
	if got := p.next(); got != tok {
		return p.syntax(got)
	}
	return nil
}

func (p *parser) syntax(tok string) *Error {
	if tok == "" {
		tok = "<EOF>"
	}
	return invalid("Invalid %s: Syntax error; token: %q", p.kind, tok)
}

// attribute reads the name of an attribute.
func (p *parser) attribute() (string, *Error) {
	t := p.next()
	switch {
	case t == "" || !word(t[0]) && t[0] != '#' || t[0] >= '0' && t[0] <= '9':
		return "", p.syntax(t)
	case t[0] != '#':
		return t, nil
	}
	name, ok := p.names[t]
	if !ok {
		return "", invalid("Invalid %s: An expression attribute name used in the document path is not defined; attribute name: %s", p.kind, t)
	}
	p.usedNames[t] = true
	return name, nil
}

// value reads a placeholder of a value.
func (p *parser) value() (Value, *Error) {
	t := p.next()
	if !strings.HasPrefix(t, ":") {
		return Value{}, p.syntax(t)
	}
	v, ok := p.values[t]
	if !ok {
		return Value{}, invalid("Invalid %s: An expression attribute value used in expression is not defined; attribute value: %s", p.kind, t)
	}
	p.usedValues[t] = true
	return v, nil
}
