// Package awsnet is what the clients of several AWS services have in common and
// needs no SDK: which endpoints are taken, how request bodies are sent, how streams
// are named, and what is told when nothing answers.
package awsnet

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// CheckEndpoint refuses what is not a plain URL, and, unless allowHTTP, http to
// other machines than this one.
func CheckEndpoint(endpoint string, allowHTTP bool) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return fmt.Errorf("the Endpoint %q is not a URL: %w", endpoint, err)
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return fmt.Errorf("the Endpoint %q is not a URL like https://host:port", endpoint)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("the Endpoint %q has a user, a query or a fragment: give scheme, host and port; credentials belong to Credentials", u.Redacted())
	case u.Scheme == "http" && !allowHTTP && !loopback(u.Hostname()):
		return fmt.Errorf("the Endpoint %q would send data in the clear: use https, or set AllowHTTP", endpoint)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// WithoutCredentials tells whether a call failed for want of credentials. The SDK
// has no type for that, only these words.
func WithoutCredentials(err error) bool {
	return strings.Contains(err.Error(), "get credentials") || strings.Contains(err.Error(), "get identity")
}

// Unreachable says what to do about an error of a service that has never answered.
// variable is the one that the SDK takes the service's endpoint from.
func Unreachable(variable string, err error) string {
	if WithoutCredentials(err) {
		return "there are no credentials: give the task a role, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	}
	return "nothing answers there: look at the endpoint (" + variable + ", Config.Endpoint), the region, and the way of the network (NAT, VPC endpoint, security group)"
}
