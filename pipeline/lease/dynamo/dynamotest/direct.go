package dynamotest

import (
	"maps"
	"slices"
)

// MakeTable makes a table whose partition key is a string, at once, whatever
// Config.CreateTime.
func (s *Server) MakeTable(name, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := &createTableInput{TableName: name, BillingMode: "PAY_PER_REQUEST"}
	in.AttributeDefinitions = append(in.AttributeDefinitions, struct{ AttributeName, AttributeType string }{key, "S"})
	in.KeySchema = append(in.KeySchema, struct{ AttributeName, KeyType string }{key, "HASH"})
	if _, err := s.createTable(nil, in); err != nil {
		return err
	}
	s.tables[name].ready = s.config.Now()
	return nil
}

// DropTable removes a table with all its items, at once; a table that is not there
// is no error.
func (s *Server) DropTable(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tables, name)
}

// Tables lists the names of all tables, in order.
func (s *Server) Tables() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.tables))
}

// Put writes an item, in place of one that has its key.
func (s *Server) Put(name string, i Item) error {
	i = i.Clone()
	for k, v := range i {
		if err := v.settle(); err != nil {
			return err
		}
		i[k] = v
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.usable(name)
	if err != nil {
		return err
	}
	key, err := t.key(i)
	if err != nil {
		return err
	}
	t.items[key] = i
	return nil
}

// Item returns the item whose partition key has a text, or nil. It serves tables
// without a sort key.
func (s *Server) Item(name, key string) Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tables[name]; t != nil {
		return t.items[key+"\x00"].Clone()
	}
	return nil
}

// Remove deletes the item whose partition key has a text; one that is not there is
// no error. It serves tables without a sort key.
func (s *Server) Remove(name, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tables[name]; t != nil {
		delete(t.items, key+"\x00")
	}
}

// Edit changes the item whose partition key has a text, in place, and reports
// whether there was one. It serves tables without a sort key.
func (s *Server) Edit(name, key string, f func(Item)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[name]
	if t == nil || t.items[key+"\x00"] == nil {
		return false
	}
	f(t.items[key+"\x00"])
	return true
}

// Items returns all items of a table, in no order.
func (s *Server) Items(name string) []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Item
	if t := s.tables[name]; t != nil {
		for _, i := range t.items {
			out = append(out, i.Clone())
		}
	}
	return out
}
