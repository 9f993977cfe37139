package conform

import (
	"strings"
	"testing"
)

// A case with a gap must fail, and one without must not.
func TestVerdicts(t *testing.T) {
	s := Service{Gaps: []Gap{{Case: "put-late", Does: "comes early"}}}
	for _, test := range []struct {
		name     string
		failures []string
		failed   bool
		says     string
	}{
		{"put-order", nil, false, ""},
		{"put-order", []string{"2 after 3"}, true, "2 after 3"},
		{"put-late", []string{"early"}, false, "known gap: comes early (early)"},
		{"put-late", nil, true, "out of date"},
	} {
		failed, says := s.verdict(Case{Name: test.name, Wants: "things"}, test.failures)
		if failed != test.failed || !strings.Contains(says, test.says) {
			t.Errorf("%s with %q: %v, %q", test.name, test.failures, failed, says)
		}
	}
}
