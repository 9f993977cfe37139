package s3test

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// authenticate looks at the signature, in the Authorization header or in the
// query of a presigned address, and asks Config.Credentials. The signature
// itself is not verified.
func (s *Server) authenticate(r *http.Request, c *Call) *Error {
	query := c.Query
	var credential, signature string
	switch header := r.Header.Get("Authorization"); {
	case header != "":
		if !strings.HasPrefix(header, "AWS4-") {
			return invalidRequest("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
		}
		credential, signature = signedBy(header)
		if r.Header.Get("X-Amz-Content-Sha256") == "" {
			return invalidRequest("Missing required header for this request: x-amz-content-sha256")
		}
	case query.Has("X-Amz-Algorithm"):
		credential, signature = query.Get("X-Amz-Credential"), query.Get("X-Amz-Signature")
		if err := s.checkExpiry(query); err != nil {
			return err
		}
	case s.cfg.AllowUnsigned:
		return nil
	default:
		return errorf(http.StatusForbidden, "AccessDenied", "Access Denied: the request is not signed")
	}
	// ACCESSKEY/DATE/REGION/s3/aws4_request; SigV4A has no region.
	key, scope, _ := strings.Cut(credential, "/")
	if key == "" || !strings.HasSuffix(scope, "/aws4_request") || signature == "" {
		return errorf(http.StatusBadRequest, "AuthorizationHeaderMalformed",
			"The authorization header that you provided is not valid: credential %q", credential)
	}
	c.AccessKey = key
	if s.cfg.Credentials == nil {
		return nil
	}
	return credentialError(s.cfg.Credentials(key))
}

// credentialError is the answer for what Config.Credentials returned.
func credentialError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return errorf(http.StatusBadRequest, "ExpiredToken", "The provided token has expired. (%v)", err)
}

// signedBy finds the credential and the signature in an Authorization header.
func signedBy(header string) (credential, signature string) {
	_, fields, _ := strings.Cut(header, " ")
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			credential = value
		case "Signature":
			signature = value
		}
	}
	return credential, signature
}

// checkExpiry refuses a presigned address whose time is over.
func (s *Server) checkExpiry(query url.Values) *Error {
	begun, err := time.Parse("20060102T150405Z", query.Get("X-Amz-Date"))
	seconds, err2 := strconv.Atoi(query.Get("X-Amz-Expires"))
	if err != nil || err2 != nil {
		return errorf(http.StatusBadRequest, "AuthorizationQueryParametersError",
			"X-Amz-Date and X-Amz-Expires are required for query authentication")
	}
	if s.cfg.Now().After(begun.Add(time.Duration(seconds) * time.Second)) {
		return errorf(http.StatusForbidden, "AccessDenied", "Request has expired")
	}
	return nil
}

// AnyCredentials are credentials that every server takes whose
// [Config.Credentials] is not set.
func AnyCredentials() aws.CredentialsProvider {
	return aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider("test", "secret", ""))
}
