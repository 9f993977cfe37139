package s3

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/shardlake/shardlake/sink"
)

// verdict is what an error of the service means.
type verdict struct {
	kind    error  // sink.ErrNoUpload, ErrNoObject or ErrRefused, or nil
	final   bool   // not worth repeating although of no kind
	slow    bool   // the service is too busy
	expired bool   // other credentials may help
	region  string // where the bucket is, if the service says so
	remedy  string
	code    string
	message string
	status  int
	request string // the service's id of the request
}

// judge finds out what an error means: by its code, which the service documents,
// and else by the status. HEAD has no body and therefore no code.
func (s *Store) judge(c call, err error) verdict {
	var v verdict
	var body *bodyError
	if errors.As(err, &body) {
		v.final = true
		return v
	}
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil && answer.Response.Response != nil {
		v.status = answer.HTTPStatusCode()
		switch v.status {
		case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusBadRequest:
			v.region = answer.Response.Header.Get("x-amz-bucket-region")
		}
		v.request = answer.Response.Header.Get("x-amz-request-id")
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		v.code, v.message = api.ErrorCode(), api.ErrorMessage()
	}
	var params smithy.InvalidParamsError
	var serial *smithy.SerializationError
	if errors.As(err, &params) || errors.As(err, &serial) {
		v.kind, v.remedy = sink.ErrRefused, "the AWS SDK cannot make a request of this configuration"
		return v
	}
	var unread *smithy.DeserializationError
	if errors.As(err, &unread) && c.op != "HeadObject" {
		// The answer was cut or is no document of the service, as from a proxy: its
		// status alone is no verdict.
		v.message = err.Error()
		return v
	}
	if !s.byCode(c, &v) {
		s.byStatus(c, &v)
	}
	if v.code == "" && v.status == 0 {
		v.message = err.Error()
	}
	return v
}

// byCode judges by the error code (Amazon S3 API reference, "Error responses").
func (s *Store) byCode(c call, v *verdict) bool {
	switch v.code {
	case "NoSuchUpload":
		v.kind = sink.ErrNoUpload
	case "NoSuchBucket":
		s.refuse(v, "create the bucket, or correct Config.Bucket, Region and Endpoint")
	case "AccessDenied", "AllAccessDisabled", "AccountProblem", "AccessDeniedException":
		s.refuse(v, s.allow(c))
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidClientTokenId", "UnrecognizedClientException", "NotSignedUp":
		v.expired = true // the next call asks for them anew
		s.refuse(v, "the credentials are not valid at this endpoint: correct them, for example AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or the task's role")
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired":
		v.expired = true
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		where := "the bucket's region"
		if v.region != "" {
			where = v.region
		}
		s.refuse(v, "set Config.Region to "+where)
	case "SlowDown", "Throttling", "ThrottlingException", "KMS.ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "BandwidthLimitExceeded", "ServiceUnavailable", "Busy":
		v.slow = true
	case "RequestTimeout", "RequestTimeoutException", "IncompleteBody", "BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch",
		"RequestTimeTooSkewed", "InternalError", "OperationAborted", "ConditionalRequestConflict":
		// Bytes were lost or changed on the way, the clock is off, which the SDK
		// corrects by the answer, or the service stumbled.
	case "NotImplemented":
		s.refuse(v, "the store at this endpoint does not have what the request asks for: set Config.Checksums to ChecksumWhenRequired, and leave SSE, KMSKey and StorageClass empty")
	default:
		if strings.HasPrefix(v.code, "KMS.") {
			s.refuse(v, "look at the KMS key: enabled, in the bucket's region, and its policy allows kms:GenerateDataKey and kms:Decrypt")
			return true
		}
		return false
	}
	return true
}

func (s *Store) byStatus(c call, v *verdict) {
	switch {
	case v.status == 0 || v.status < 300:
		// No answer, or one that could not be read.
	case v.status == http.StatusNotFound && c.op == "HeadObject":
		v.kind = sink.ErrNoObject
	case v.status == http.StatusBadRequest && c.op == "HeadObject":
		v.expired = true // without a body this is all that says ExpiredToken
	case v.status == http.StatusForbidden || v.status == http.StatusUnauthorized:
		s.refuse(v, s.allow(c))
	case v.status == http.StatusMovedPermanently || v.status == http.StatusTemporaryRedirect:
		s.refuse(v, "set Config.Region to the bucket's region")
	case v.status == http.StatusTooManyRequests || v.status == http.StatusServiceUnavailable:
		v.slow = true
	case v.status == http.StatusRequestTimeout, v.status == http.StatusConflict, v.status == http.StatusTooEarly:
	case v.status == http.StatusNotImplemented:
		s.refuse(v, "set Config.Checksums to ChecksumWhenRequired")
	case v.status < 500:
		s.refuse(v, "the service will not take this request however often it is sent")
	}
}

func (s *Store) refuse(v *verdict, remedy string) {
	v.kind, v.remedy = sink.ErrRefused, remedy
}

// allow says which permission is missing.
func (s *Store) allow(c call) string {
	where := "arn:aws:s3:::" + s.cfg.Bucket
	if strings.HasPrefix(s.cfg.Bucket, "arn:") {
		where = s.cfg.Bucket
	}
	text := "allow " + c.actions + " on " + where + " and its objects"
	switch {
	case c.op == "HeadObject":
		text += " (without s3:ListBucket the service answers 403 for an object that is not there)"
	case s.cfg.KMSKey != "" || s.cfg.SSE != "":
		text += ", and kms:GenerateDataKey and kms:Decrypt on the KMS key"
	}
	if s.cfg.ExpectedBucketOwner != "" {
		text += ", and see that account " + s.cfg.ExpectedBucketOwner + " owns the bucket"
	}
	return text
}

// callError is a failed call in one line. It unwraps to the kind and to the SDK's
// error.
type callError struct {
	text string
	kind error
	err  error
}

func (e *callError) Error() string { return e.text }

// Unwrap returns the kind, if there is one, and the SDK's error.
func (e *callError) Unwrap() []error {
	if e.kind == nil {
		return []error{e.err}
	}
	return []error{e.kind, e.err}
}

func (s *Store) failure(c call, v verdict, attempts int, err error) error {
	var b strings.Builder
	fmt.Fprintf(&b, "s3: %s of %s in bucket %s", c.op, c.key, s.cfg.Bucket)
	if v.kind != nil {
		fmt.Fprintf(&b, ": %v", v.kind)
	} else if attempts > 1 {
		fmt.Fprintf(&b, ": given up after %d attempts", attempts)
	}
	switch {
	case v.final:
		fmt.Fprintf(&b, ": %v", err)
	case v.code != "":
		fmt.Fprintf(&b, ": %s: %s", v.code, v.message)
	case v.message != "":
		fmt.Fprintf(&b, ": %s", v.message)
	default:
		fmt.Fprintf(&b, ": %v", err)
	}
	if v.status != 0 {
		fmt.Fprintf(&b, " (status %d", v.status)
		if v.request != "" {
			fmt.Fprintf(&b, ", request %s", v.request)
		}
		b.WriteString(")")
	}
	if v.remedy != "" {
		b.WriteString("; " + v.remedy)
	}
	return &callError{text: b.String(), kind: v.kind, err: err}
}

// bodyError is an error of the caller's body, which no repetition helps.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "read the part's body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// codeOf returns the service's error code, or "".
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
