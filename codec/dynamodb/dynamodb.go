// Package dynamodb decodes the change records that Amazon DynamoDB puts into a
// Kinesis stream.
//
//	kinesis.Source(cfg, dynamodb.Changes, dynamodb.Change.When)
//
// DynamoDB delivers a change more than once at times, and in no certain order:
// EventID is the same for each delivery. Source of the format: "Working with Kinesis
// Data Streams and DynamoDB" in DynamoDB's developer guide.
package dynamodb

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
)

// Change is a change of an item. It can be written to a lake as it is.
type Change struct {
	Region    string   `json:"awsRegion"`
	EventID   string   `json:"eventID"`               // the same for each delivery of a change
	EventName string   `json:"eventName"`             // INSERT, MODIFY or REMOVE
	User      *User    `json:"userIdentity,omitzero"` // nil unless DynamoDB itself made the change
	Format    string   `json:"recordFormat"`          // application/json
	Table     string   `json:"tableName"`
	DynamoDB  Modified `json:"dynamodb"`
	Source    string   `json:"eventSource"` // aws:dynamodb
}

// User is who made a change on behalf of DynamoDB.
type User struct {
	Type        string `json:"type"`
	PrincipalID string `json:"principalId"`
}

// Modified is what became of the item. Which images there are depends on the change;
// an image that is not there is nil.
type Modified struct {
	// Created is about when the change was made, in the unit that Precision names:
	// Change.Time makes a time of both.
	Created   json.RawMessage `json:"ApproximateCreationDateTime"`
	Precision string          `json:"ApproximateCreationDateTimePrecision"`
	Keys      Item            `json:"Keys"`
	NewImage  Item            `json:"NewImage"`
	OldImage  Item            `json:"OldImage"`
	SizeBytes int64           `json:"SizeBytes"`
}

// Item is the attributes of an item by name, each as DynamoDB's JSON, like
// {"N":"12.50"}: numbers keep all of their up to 38 digits.
type Item map[string]json.RawMessage

// Changes is the codec of change records. What codec.JSON refuses becomes a dead
// letter, and so does a record that is none of a change, and one whose time cannot be
// told.
func Changes() (codec.Decoder[Change], error) {
	return codec.Map(codec.JSON[Change], func(c Change) (Change, error) {
		if c.EventName == "" || c.DynamoDB.Keys == nil {
			return c, shardlake.Reject(errors.New("dynamodb: eventName or Keys are missing: is it a change record of DynamoDB?"))
		}
		if _, err := c.Time(); err != nil {
			return c, shardlake.Reject(err)
		}
		return c, nil
	})()
}

// When is Time for a change that the codec Changes let pass. Without a time it is the
// zero time.
func (c Change) When() time.Time {
	t, err := c.Time()
	if err != nil {
		return time.Time{}
	}
	return t
}

// Time is about when the change was made. The unit is the one that the record names:
// MILLISECOND, MICROSECOND, or seconds if it names none, as DynamoDB Streams and
// emulators have it. Guessed, it would be wrong by a factor of a thousand
// (aws/aws-lambda-go#478). Fractions are cut to the microsecond. Its error says what
// is wrong; times outside of the years 1970 to 9999 are errors.
func (c Change) Time() (time.Time, error) {
	text := string(c.DynamoDB.Created)
	var unit int64 // in microseconds
	switch c.DynamoDB.Precision {
	case "MILLISECOND":
		unit = 1000
	case "MICROSECOND":
		unit = 1
	case "":
		unit = 1_000_000
	default:
		return time.Time{}, fmt.Errorf("dynamodb: ApproximateCreationDateTimePrecision is %.40q, neither MILLISECOND nor MICROSECOND", c.DynamoDB.Precision)
	}
	// An exponent of a few digits would make a number of a few gigabytes.
	at, ok := new(big.Rat), len(text) <= 40 && !strings.ContainsAny(text, "/_xXpPbBoO")
	if i := strings.IndexAny(text, "eE"); i >= 0 && len(text)-i > 4 {
		ok = false
	}
	if ok {
		_, ok = at.SetString(text)
	}
	if !ok {
		return time.Time{}, fmt.Errorf("dynamodb: ApproximateCreationDateTime is %.40q, no number", text)
	}
	at.Mul(at, new(big.Rat).SetInt64(unit))
	us := new(big.Int).Quo(at.Num(), at.Denom())
	if at.Sign() < 0 || us.Cmp(big.NewInt(int64(shardlake.MaxEventTime))) > 0 {
		return time.Time{}, fmt.Errorf("dynamodb: ApproximateCreationDateTime is %s with precision %q, outside of the years 1970 to 9999", text, c.DynamoDB.Precision)
	}
	return time.UnixMicro(us.Int64()).UTC(), nil
}

// Expired tells whether DynamoDB removed the item because its time to live was over.
func (c Change) Expired() bool {
	return c.EventName == "REMOVE" && c.User != nil && c.User.Type == "Service" && c.User.PrincipalID == "dynamodb.amazonaws.com"
}

// Text returns the value of an attribute of type S, and whether there is one.
func (i Item) Text(name string) (string, bool) { return i.scalar(name, "S") }

// Number returns all digits of an attribute of type N, and whether there is one. It
// may have up to 38 digits and a point or an exponent: math/big reads it.
func (i Item) Number(name string) (string, bool) { return i.scalar(name, "N") }

func (i Item) scalar(name, typ string) (s string, ok bool) {
	var value map[string]json.RawMessage
	if err := json.Unmarshal(i[name], &value); err != nil || len(value) != 1 {
		return "", false // there is none, or it is no attribute
	}
	err := json.Unmarshal(value[typ], &s)
	return s, err == nil
}
