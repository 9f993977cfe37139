package dynamotest

import "time"

// Config says how the service behaves. The zero value is a service without limits
// but those of the protocol.
type Config struct {
	// Now is the service's clock: of the Date of answers, of creation times, and of
	// the time that a table takes to be made. time.Now by default. Faults that wait
	// do so by the timers of package time, which testing/synctest controls.
	Now func() time.Time
	// Account and Region are part of ARNs: 123456789012 and us-east-1 by default.
	Account, Region string
	// CreateTime is how long a new table has the status CREATING, in which nothing
	// but DescribeTable works; at once by default.
	CreateTime time.Duration
	// DeleteTime is how long a deleted table has the status DELETING; at once by
	// default.
	DeleteTime time.Duration
	// PageBytes is the size of the items that one Scan looks at: 1 MB by default.
	PageBytes int
	// NoOldOnFailure leaves the item out of a ConditionalCheckFailedException, even
	// if ReturnValuesOnConditionCheckFailure asks for it, as some servers that speak
	// the protocol do.
	NoOldOnFailure bool
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Account == "" {
		c.Account = "123456789012"
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.PageBytes <= 0 {
		c.PageBytes = 1 << 20
	}
	return c
}
