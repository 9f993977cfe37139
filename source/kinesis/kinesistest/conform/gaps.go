package conform

// Gaps are the known gaps of servers of others, by the name of the server and that
// of the case.
var Gaps = map[string]map[string]string{
	"kinesislocal": {},
	"ferrokinesis": {},
}
