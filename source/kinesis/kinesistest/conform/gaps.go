package conform

// Gaps are the known gaps of servers of others, by the name of the server and that
// of the case.
var Gaps = map[string]map[string]string{
	// kinesis-local 0.6.2
	"kinesislocal": {
		"put many":                      "takes more than 500 records in a call",
		"bad iterators":                 "answers a made-up iterator with status 500",
		"distance to the tip":           "is nearly at the tip although there are records a second old to come",
		"shards by filter":              "lists the children of a split at the horizon too",
		"fan-out":                       "sends no initial-response, which the SDK for Go waits for",
		"fan-out twice":                 "the same",
		"fan-out to the end of a shard": "the same",
	},
	// ferrokinesis 0.7.0
	"ferrokinesis": {
		"by ARN":                         "knows streams by their names only",
		"distance to the tip":            "is always 0",
		"children of a shard that ended": "GetRecords names no children",
		"pages of shards":                "does not find the stream of a token",
		"shards by filter":               "knows no filters",
		"fan-out twice":                  "takes a second subscription at once",
		"fan-out to the end of a shard":  "gives a place to go on at the end",
	},
}
