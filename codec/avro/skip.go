package avro

// skipper passes over a value as strictly as if it were wanted.
type skipper func(*input) error

// skip compiles the skipper of a type. Records are compiled once, so a recursive
// schema has an end.
func (c *compiler) skip(n *node) skipper {
	switch n.kind {
	case null:
		return func(*input) error { return nil }
	case boolean:
		return func(s *input) error { _, err := s.bool(); return err }
	case integer:
		return func(s *input) error { _, err := s.int(); return err }
	case long:
		return func(s *input) error { _, err := s.long(); return err }
	case float:
		return func(s *input) error { _, err := s.take(4); return err }
	case double:
		return func(s *input) error { _, err := s.take(8); return err }
	case binary:
		return func(s *input) error { _, err := s.bytes(); return err }
	case text:
		return func(s *input) error { _, err := s.text(); return err }
	case fixed:
		return func(s *input) error { _, err := s.take(n.size); return err }
	case enum:
		return func(s *input) error { _, err := s.index(len(n.symbols), "symbol"); return err }
	case array:
		return skipBlocks(n.elem.smallest(), c.skip(n.elem))
	case mapping:
		value := c.skip(n.elem)
		return skipBlocks(1+n.elem.smallest(), func(s *input) error {
			if _, err := s.text(); err != nil {
				return err
			}
			return value(s)
		})
	case union:
		return c.skipUnion(n)
	}
	return c.skipRecord(n)
}

func skipBlocks(least int, elem skipper) skipper {
	return func(s *input) error {
		if err := s.enter(); err != nil {
			return err
		}
		defer s.leave()
		for {
			count, end, err := s.block(least, 0)
			if err != nil || count == 0 {
				return err
			}
			for range count {
				if err := elem(s); err != nil {
					return err
				}
			}
			if err := s.ended(end); err != nil {
				return err
			}
		}
	}
}

func (c *compiler) skipUnion(n *node) skipper {
	var branches []skipper
	for _, b := range n.branches {
		branches = append(branches, c.skip(b))
	}
	return func(s *input) error {
		i, err := s.index(len(branches), "branch")
		if err != nil {
			return err
		}
		return branches[i](s)
	}
}

func (c *compiler) skipRecord(n *node) skipper {
	if known := c.skippers[n]; known != nil {
		return func(s *input) error { return (*known)(s) }
	}
	own := new(skipper)
	c.skippers[n] = own
	var fields []skipper
	for _, f := range n.fields {
		fields = append(fields, c.skip(f.node))
	}
	*own = func(s *input) error {
		if err := s.enterRecord(); err != nil {
			return err
		}
		defer s.leave()
		for i, f := range fields {
			if err := f(s); err != nil {
				return within(err, n.fields[i].name)
			}
		}
		return nil
	}
	return *own
}
