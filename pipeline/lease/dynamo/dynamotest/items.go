package dynamotest

import (
	"crypto/sha256"
	"maps"
	"slices"
)

// maxItem is the largest item (developer guide, "Service quotas").
const maxItem = 400 << 10

// conditional is what the requests that write have in common.
type conditional struct {
	ConditionExpression                 string
	ExpressionAttributeNames            map[string]string
	ExpressionAttributeValues           map[string]Value
	ReturnValues                        string
	ReturnValuesOnConditionCheckFailure string
	ReturnConsumedCapacity              string
	ReturnItemCollectionMetrics         string
}

// holds parses the condition, and tells by an error if it does not hold.
func (in *conditional) holds(sc *scope, s *Server, old Item) *Error {
	if in.ConditionExpression == "" {
		return sc.unused()
	}
	cond, err := sc.condition("ConditionExpression", in.ConditionExpression)
	if err != nil {
		return err
	}
	if err := sc.unused(); err != nil {
		return err
	}
	if cond(old) {
		return nil
	}
	failed := failure(codeConditionFailed, "The conditional request failed")
	switch in.ReturnValuesOnConditionCheckFailure {
	case "", "NONE":
	case "ALL_OLD":
		if !s.config.NoOldOnFailure {
			failed.item = old
		}
	default:
		return invalid("ReturnValuesOnConditionCheckFailure %q: want ALL_OLD or NONE", in.ReturnValuesOnConditionCheckFailure)
	}
	return failed
}

// check refuses values that a request does not have.
func (in *conditional) check(values ...string) *Error {
	if in.ReturnValues != "" && !slices.Contains(values, in.ReturnValues) {
		return invalid("Return values set to invalid value: %s", in.ReturnValues)
	}
	return nil
}

type putItemInput struct {
	TableName string
	Item      Item
	conditional
}

func (s *Server) putItem(c *call, in *putItemInput) (any, *Error) {
	t, err := s.usable(in.TableName)
	if err != nil {
		return nil, err
	}
	if err := in.check("NONE", "ALL_OLD"); err != nil {
		return nil, err
	}
	key, err := t.key(in.Item)
	if err != nil {
		return nil, err
	}
	if in.Item.Size() > maxItem {
		return nil, invalid("Item size has exceeded the maximum allowed size")
	}
	old := t.items[key]
	c.wrote(old, in.Item)
	if err := in.holds(newScope(in.ExpressionAttributeNames, in.ExpressionAttributeValues), s, old); err != nil {
		return nil, err
	}
	t.items[key] = in.Item.Clone()
	out := map[string]any{}
	if in.ReturnValues == "ALL_OLD" && old != nil {
		out["Attributes"] = old
	}
	return c.with(out, in.ReturnConsumedCapacity, t), nil
}

// with adds the consumed capacity to an answer.
func (c *call) with(out map[string]any, asked string, t *table) any {
	if u := c.consumed(asked, t.name); u != nil {
		out["ConsumedCapacity"] = u
	}
	return out
}

type getItemInput struct {
	TableName              string
	Key                    Item
	ConsistentRead         bool
	ReturnConsumedCapacity string
}

func (s *Server) getItem(c *call, in *getItemInput) (any, *Error) {
	t, err := s.usable(in.TableName)
	if err != nil {
		return nil, err
	}
	key, err := t.exactKey(in.Key)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	i, ok := t.items[key]
	if ok {
		out["Item"] = i.Clone()
	}
	c.readBytes(i.Size(), in.ConsistentRead)
	return c.with(out, in.ReturnConsumedCapacity, t), nil
}

type updateItemInput struct {
	TableName        string
	Key              Item
	UpdateExpression string
	conditional
}

func (s *Server) updateItem(c *call, in *updateItemInput) (any, *Error) {
	t, err := s.usable(in.TableName)
	if err != nil {
		return nil, err
	}
	if err := in.check("NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"); err != nil {
		return nil, err
	}
	key, err := t.exactKey(in.Key)
	if err != nil {
		return nil, err
	}
	sc := newScope(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	u := &update{}
	if in.UpdateExpression != "" {
		if u, err = sc.update(in.UpdateExpression); err != nil {
			return nil, err
		}
	}
	for _, a := range u.actions {
		if slices.ContainsFunc(t.keys, func(k keyAttribute) bool { return k.name == a.attr }) {
			return nil, invalid("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", a.attr)
		}
	}
	old := t.items[key]
	if err := in.holds(sc, s, old); err != nil {
		c.wrote(old, nil)
		return nil, err
	}
	from := old
	if from == nil {
		from = in.Key // an update makes what is not there
	}
	now, touched, err := u.of(from)
	if err != nil {
		return nil, err
	}
	if now.Size() > maxItem {
		return nil, invalid("Item size to update has exceeded the maximum allowed size")
	}
	c.wrote(old, now)
	t.items[key] = now
	out := map[string]any{}
	var back Item
	switch in.ReturnValues {
	case "ALL_NEW":
		back = now.Clone()
	case "ALL_OLD":
		back = old
	case "UPDATED_NEW":
		back = only(now, touched)
	case "UPDATED_OLD":
		back = only(old, touched)
	}
	if len(back) > 0 {
		out["Attributes"] = back
	}
	return c.with(out, in.ReturnConsumedCapacity, t), nil
}

func only(i Item, names []string) Item {
	out := Item{}
	for _, n := range names {
		if v, ok := i[n]; ok {
			out[n] = v.clone()
		}
	}
	return out
}

type deleteItemInput struct {
	TableName string
	Key       Item
	conditional
}

func (s *Server) deleteItem(c *call, in *deleteItemInput) (any, *Error) {
	t, err := s.usable(in.TableName)
	if err != nil {
		return nil, err
	}
	if err := in.check("NONE", "ALL_OLD"); err != nil {
		return nil, err
	}
	key, err := t.exactKey(in.Key)
	if err != nil {
		return nil, err
	}
	old := t.items[key]
	c.wrote(old, nil)
	if err := in.holds(newScope(in.ExpressionAttributeNames, in.ExpressionAttributeValues), s, old); err != nil {
		return nil, err
	}
	delete(t.items, key)
	out := map[string]any{}
	if in.ReturnValues == "ALL_OLD" && old != nil {
		out["Attributes"] = old
	}
	return c.with(out, in.ReturnConsumedCapacity, t), nil
}

type scanInput struct {
	TableName                 string
	ConsistentRead            bool
	ExclusiveStartKey         Item
	Limit                     int
	FilterExpression          string
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues map[string]Value
	Select                    string
	ReturnConsumedCapacity    string
}

func (s *Server) scan(c *call, in *scanInput) (any, *Error) {
	t, err := s.usable(in.TableName)
	if err != nil {
		return nil, err
	}
	if in.Select != "" && in.Select != "ALL_ATTRIBUTES" && in.Select != "COUNT" {
		return nil, missing("Select %s", in.Select)
	}
	sc := newScope(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	filter := condition(func(Item) bool { return true })
	if in.FilterExpression != "" {
		if filter, err = sc.condition("FilterExpression", in.FilterExpression); err != nil {
			return nil, err
		}
	}
	if err := sc.unused(); err != nil {
		return nil, err
	}
	keys := t.order()
	if in.ExclusiveStartKey != nil {
		after, err := t.exactKey(in.ExclusiveStartKey)
		if err != nil {
			return nil, err
		}
		// The item itself may be gone by now.
		from := sha256.Sum256([]byte(after))
		keys = slices.DeleteFunc(keys, func(k string) bool {
			h := sha256.Sum256([]byte(k))
			return k == after || slices.Compare(h[:], from[:]) < 0
		})
	}
	found, size, seen := []Item{}, 0, 0
	var last Item
	for i, k := range keys {
		item := t.items[k]
		size, seen = size+item.Size(), seen+1
		if filter(item) {
			found = append(found, item.Clone())
		}
		if (seen == in.Limit || size >= s.config.PageBytes) && i < len(keys)-1 {
			last = t.keyOf(item)
			break
		}
	}
	c.readBytes(size, in.ConsistentRead)
	out := map[string]any{"Count": len(found), "ScannedCount": seen}
	if in.Select != "COUNT" {
		out["Items"] = found
	}
	if last != nil {
		out["LastEvaluatedKey"] = last
	}
	return c.with(out, in.ReturnConsumedCapacity, t), nil
}

func (t *table) keyOf(i Item) Item {
	out := maps.Clone(i)
	maps.DeleteFunc(out, func(name string, _ Value) bool {
		return !slices.ContainsFunc(t.keys, func(k keyAttribute) bool { return k.name == name })
	})
	return out
}
