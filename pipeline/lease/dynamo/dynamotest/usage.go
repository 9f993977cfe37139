package dynamotest

// Usage is what the requests of one operation came to.
type Usage struct {
	// Calls is how many requests have arrived, struck by faults or not.
	Calls int
	// Read and Write are the capacity units that those consumed which had an effect
	// or a failed condition: 1 per 4 KB read, half of that without ConsistentRead,
	// and 1 per KB written, rounded up (developer guide, "DynamoDB capacity").
	Read, Write float64
}

// Usage returns the count of an operation, as in "UpdateItem", or of all if op is
// empty.
func (s *Server) Usage(op string) Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op != "" {
		return s.usage[op]
	}
	var all Usage
	for _, u := range s.usage {
		all.Calls, all.Read, all.Write = all.Calls+u.Calls, all.Read+u.Read, all.Write+u.Write
	}
	return all
}

// ResetUsage sets all counts to 0.
func (s *Server) ResetUsage() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.usage)
}

func (s *Server) count(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.usage[c.op]
	u.Calls++
	s.usage[c.op] = u
}

// wrote notes a write by the larger of both items.
func (c *call) wrote(old, now Item) { c.use.Write += units(max(old.Size(), now.Size()), 1<<10) }

// readBytes notes a read.
func (c *call) readBytes(size int, consistent bool) {
	n := units(size, 4<<10)
	if !consistent {
		n /= 2
	}
	c.use.Read += n
}

func units(size, unit int) float64 { return float64(max(1, (size+unit-1)/unit)) }

// consumed is what a request's ReturnConsumedCapacity asks for.
func (c *call) consumed(asked string, table string) any {
	if asked == "" || asked == "NONE" {
		return nil
	}
	return map[string]any{"TableName": table, "CapacityUnits": c.use.Read + c.use.Write}
}
