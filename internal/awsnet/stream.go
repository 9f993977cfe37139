package awsnet

import "strings"

// IsARN tells whether something is given by ARN, not by name.
func IsARN(s string) bool { return strings.HasPrefix(s, "arn:") }

// Streams is what ValidStream takes, for error messages.
const Streams = "a name of 1 to 128 letters, digits, dots, dashes and underscores, or the ARN of a stream"

// ValidStream tells whether s is the name or the ARN of a Kinesis stream, by its
// form.
func ValidStream(s string) bool {
	if IsARN(s) {
		parts := strings.SplitN(s, ":", 6)
		if len(parts) != 6 || parts[2] != "kinesis" {
			return false
		}
		var ok bool
		if s, ok = strings.CutPrefix(parts[5], "stream/"); !ok {
			return false
		}
	}
	if s == "" || len(s) > 128 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.-", r))
	})
}
