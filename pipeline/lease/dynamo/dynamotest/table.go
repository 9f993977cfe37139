package dynamotest

import (
	"cmp"
	"crypto/sha256"
	"regexp"
	"slices"
	"strings"
	"time"
)

// table is one table with its items, by their key.
type table struct {
	name     string
	arn      string
	keys     []keyAttribute
	billing  string
	provided *throughput
	guarded  bool
	tags     []tag
	created  time.Time
	ready    time.Time // from when it is ACTIVE
	gone     time.Time // from when it does not exist, if it was deleted
	items    map[string]Item
}

type keyAttribute struct{ name, kind, typ string } // kind is HASH or RANGE

type tag struct{ Key, Value string }

type throughput struct{ ReadCapacityUnits, WriteCapacityUnits int64 }

func (t *table) status(now time.Time) string {
	switch {
	case !t.gone.IsZero():
		return "DELETING"
	case now.Before(t.ready):
		return "CREATING"
	}
	return "ACTIVE"
}

type createTableInput struct {
	TableName            string
	AttributeDefinitions []struct{ AttributeName, AttributeType string }
	KeySchema            []struct{ AttributeName, KeyType string }
	BillingMode          string
	// ProvisionedThroughput is needed with BillingMode PROVISIONED.
	ProvisionedThroughput     *throughput
	DeletionProtectionEnabled bool
	Tags                      []tag
}

var tableName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,255}$`)

func (s *Server) createTable(_ *call, in *createTableInput) (any, *Error) {
	if !tableName.MatchString(in.TableName) {
		return nil, invalid("Invalid table/index name.  Table/index names must be between 3 and 255 characters long, and may contain only the characters a-z, A-Z, 0-9, '_', '-', and '.'")
	}
	now := s.config.Now()
	if s.find(in.TableName, now) != nil {
		return nil, failure(codeInUse, "Table already exists: %s", in.TableName)
	}
	t := &table{
		name: in.TableName, arn: "arn:aws:dynamodb:" + s.config.Region + ":" + s.config.Account + ":table/" + in.TableName,
		billing: cmp.Or(in.BillingMode, "PROVISIONED"), provided: in.ProvisionedThroughput, guarded: in.DeletionProtectionEnabled,
		tags: in.Tags, created: now, ready: now.Add(s.config.CreateTime), items: map[string]Item{},
	}
	if (t.billing == "PROVISIONED") != (t.provided != nil) {
		return nil, invalid("One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED, and not with PAY_PER_REQUEST")
	}
	for i, k := range in.KeySchema {
		at := slices.IndexFunc(in.AttributeDefinitions, func(d struct{ AttributeName, AttributeType string }) bool { return d.AttributeName == k.AttributeName })
		if at < 0 {
			return nil, invalid("One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [%s]", k.AttributeName)
		}
		typ := in.AttributeDefinitions[at].AttributeType
		if i > 1 || k.KeyType != [...]string{"HASH", "RANGE"}[i] || !strings.Contains("SNB", typ) || len(typ) != 1 {
			return nil, invalid("Invalid KeySchema: a HASH key, then perhaps a RANGE key, of type S, N or B")
		}
		t.keys = append(t.keys, keyAttribute{k.AttributeName, k.KeyType, typ})
	}
	if len(t.keys) == 0 || len(in.AttributeDefinitions) != len(t.keys) {
		return nil, invalid("One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
	}
	s.tables[t.name] = t
	return map[string]any{"TableDescription": t.describe(now)}, nil
}

type tableInput struct{ TableName string }

func (s *Server) describeTable(_ *call, in *tableInput) (any, *Error) {
	now := s.config.Now()
	t := s.find(in.TableName, now)
	if t == nil {
		return nil, failure(codeNotFound, "Requested resource not found: Table: %s not found", in.TableName)
	}
	return map[string]any{"Table": t.describe(now)}, nil
}

func (s *Server) deleteTable(_ *call, in *tableInput) (any, *Error) {
	now := s.config.Now()
	t := s.find(in.TableName, now)
	switch {
	case t == nil:
		return nil, failure(codeNotFound, "Requested resource not found: Table: %s not found", in.TableName)
	case t.guarded:
		return nil, invalid("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
	case t.status(now) != "ACTIVE":
		return nil, failure(codeInUse, "Attempt to change a resource which is still in use: Table is being %s: %s", strings.ToLower(t.status(now)), t.name)
	}
	t.gone = now.Add(s.config.DeleteTime)
	return map[string]any{"TableDescription": t.describe(now)}, nil
}

func (t *table) describe(now time.Time) any {
	var schema, defs []any
	for _, k := range t.keys {
		schema = append(schema, map[string]any{"AttributeName": k.name, "KeyType": k.kind})
		defs = append(defs, map[string]any{"AttributeName": k.name, "AttributeType": k.typ})
	}
	size := 0
	for _, i := range t.items {
		size += i.Size()
	}
	d := map[string]any{
		"TableName": t.name, "TableArn": t.arn, "TableStatus": t.status(now), "KeySchema": schema, "AttributeDefinitions": defs,
		"CreationDateTime": float64(t.created.UnixMilli()) / 1000, "ItemCount": len(t.items), "TableSizeBytes": size,
		"DeletionProtectionEnabled": t.guarded, "BillingModeSummary": map[string]any{"BillingMode": t.billing},
	}
	if t.provided != nil {
		d["ProvisionedThroughput"] = t.provided
	}
	return d
}

// find returns a table that exists, in whatever state.
func (s *Server) find(name string, now time.Time) *table {
	t := s.tables[name]
	if t != nil && !t.gone.IsZero() && !now.Before(t.gone) {
		delete(s.tables, name)
		return nil
	}
	return t
}

// usable returns a table whose items can be read and written.
func (s *Server) usable(name string) (*table, *Error) {
	now := s.config.Now()
	if t := s.find(name, now); t != nil && t.status(now) == "ACTIVE" {
		return t, nil
	}
	return nil, failure(codeNotFound, "Requested resource not found")
}

// key is the identity of an item: the values of its key attributes.
func (t *table) key(i Item) (string, *Error) {
	var b strings.Builder
	for _, k := range t.keys {
		v, ok := i[k.name]
		limit := 2048
		if k.kind == "RANGE" {
			limit = 1024
		}
		switch {
		case !ok:
			return "", invalid("One or more parameter values were invalid: Missing the key %s in the item", k.name)
		case v.Type != k.typ:
			return "", invalid("One or more parameter values were invalid: Type mismatch for key %s expected: %s actual: %s", k.name, k.typ, v.Type)
		case v.Text == "":
			return "", invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: %s", k.name)
		case len(v.Text) > limit:
			return "", invalid("One or more parameter values were invalid: Size of the key %s has exceeded the maximum size limit of %d bytes", k.name, limit)
		}
		b.WriteString(v.Text)
		b.WriteByte(0)
	}
	return b.String(), nil
}

// exactKey is key of a map that has the key attributes and no others.
func (t *table) exactKey(i Item) (string, *Error) {
	if len(i) != len(t.keys) {
		return "", invalid("The provided key element does not match the schema")
	}
	return t.key(i)
}

// order lists the keys of all items as a scan comes upon them: by a hash.
func (t *table) order() []string {
	type place struct {
		hash [sha256.Size]byte
		key  string
	}
	var all []place
	for k := range t.items {
		all = append(all, place{sha256.Sum256([]byte(k)), k})
	}
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Or(slices.Compare(a.hash[:], b.hash[:]), strings.Compare(a.key, b.key))
	})
	keys := make([]string, len(all))
	for i, p := range all {
		keys[i] = p.key
	}
	return keys
}
