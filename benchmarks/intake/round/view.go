package round

import (
	"strings"
	"time"

	"github.com/shardlake/shardlake/benchmarks/intake/canned"
)

// View is the output row.
type View struct {
	ID      int64
	Time    time.Time
	User    string
	Session string
	Page    string
	Referer *string
	Agent   string
	Country string
	Type    string
	Millis  int32
	Price   float64
	Tags    []string
}

// Wanted is the filter that all sides call: a fifth of the records is left out.
func Wanted(c canned.Click) bool { return c.Type != "heartbeat" }

// ToView is the first function that all sides call.
func ToView(c canned.Click) View {
	v := View{ID: c.ID, Time: c.Time, User: c.User, Session: c.Session, Page: c.URL, Referer: c.Referer, Agent: c.Agent,
		Country: c.Country, Type: c.Type, Millis: c.Millis, Price: c.Price, Tags: c.Tags}
	if i := strings.IndexByte(c.URL, '?'); i >= 0 {
		v.Page = c.URL[:i]
	}
	return v
}

// Tens is the second one.
func Tens(v View) View { v.Millis -= v.Millis % 10; return v }
