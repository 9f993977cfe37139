package kinesis_test

import (
	"net/http"
	"strings"
)

// Do answers what lists, and nothing else.
func (o onlyLists) Do(r *http.Request) (*http.Response, error) {
	if op := r.Header.Get("X-Amz-Target"); strings.HasSuffix(op, ".GetRecords") || strings.HasSuffix(op, ".GetShardIterator") {
		return nil, errNoAnswer
	}
	return o.HTTPClient.Do(r)
}
