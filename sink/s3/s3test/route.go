package s3test

import (
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// operation carries a request out.
type operation func(*Server, *Call) *answer

// amazonHost finds the bucket in a virtual-host style name of Amazon's.
var amazonHost = regexp.MustCompile(`^(.+)\.s3(?:\.dualstack)?(?:[.-][a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?$`)

// hostBucket is the bucket that a Host header names, "" under path-style.
func hostBucket(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	for _, domain := range []string{".s3.test", ".localhost"} {
		if bucket, ok := strings.CutSuffix(host, domain); ok && bucket != "s3" {
			return bucket
		}
	}
	if m := amazonHost.FindStringSubmatch(host); m != nil {
		return m[1]
	}
	return ""
}

// newCall finds out what a request asks for. What is wrong with it is in
// routeErr: it is answered after authentication.
func newCall(s *Server, r *http.Request) *Call {
	c := &Call{Header: r.Header, srv: s}
	path := strings.TrimPrefix(r.URL.Path, "/")
	if c.Bucket = hostBucket(r.Host); c.Bucket != "" {
		c.Key = path
	} else {
		c.Bucket, c.Key, _ = strings.Cut(path, "/")
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	c.Query = query
	if err != nil {
		c.routeErr = errorf(http.StatusBadRequest, "InvalidURI", "Couldn't parse the specified URI: %v", err)
		return c
	}
	c.Op, c.run, c.routeErr = route(r.Method, c, query)
	if c.routeErr != nil {
		return c
	}
	c.UploadID = query.Get("uploadId")
	if c.Op == "UploadPart" {
		n, err := strconv.Atoi(query.Get("partNumber"))
		if err != nil || n < 1 || n > maxParts {
			c.routeErr = invalidArgument("Part number must be an integer between 1 and 10000, inclusive: %q", query.Get("partNumber"))
		}
		c.Part = n
	}
	if len(c.Key) > 1024 {
		c.routeErr = errorf(http.StatusBadRequest, "KeyTooLongError", "Your key is too long: %d bytes, at most 1024", len(c.Key))
	}
	if r.Header.Get("X-Amz-Copy-Source") != "" {
		c.routeErr = notImplemented("x-amz-copy-source")
	}
	return c
}

// foreign are subresources that S3 has and this server has not.
var foreign = []string{
	"acl", "tagging", "policy", "policyStatus", "versioning", "versions", "cors", "website", "logging",
	"notification", "replication", "encryption", "object-lock", "legal-hold", "retention", "torrent", "restore",
	"select", "attributes", "accelerate", "requestPayment", "analytics", "inventory", "metrics",
	"intelligent-tiering", "ownershipControls", "publicAccessBlock", "metadataTable", "metadataConfiguration",
	"session", "renameObject", "append",
}

// route names the operation of a request and what carries it out.
func route(method string, c *Call, q url.Values) (string, operation, *Error) {
	for _, name := range foreign {
		if q.Has(name) {
			return "", nil, notImplemented("?" + name)
		}
	}
	if v := q.Get("versionId"); v != "" && v != "null" {
		return "", nil, notImplemented("?versionId")
	}
	switch {
	case c.Bucket == "":
		if method == http.MethodGet {
			return "ListBuckets", (*Server).listBuckets, nil
		}
	case c.Key == "":
		return routeBucket(method, q)
	default:
		return routeKey(method, q)
	}
	return "", nil, methodNotAllowed(method)
}

func routeBucket(method string, q url.Values) (string, operation, *Error) {
	lifecycle := q.Has("lifecycle")
	switch method {
	case http.MethodPut:
		if lifecycle {
			return "PutBucketLifecycleConfiguration", (*Server).putLifecycle, nil
		}
		return "CreateBucket", (*Server).createBucket, nil
	case http.MethodHead:
		return "HeadBucket", (*Server).headBucket, nil
	case http.MethodDelete:
		if lifecycle {
			return "DeleteBucketLifecycle", (*Server).deleteLifecycle, nil
		}
		return "DeleteBucket", (*Server).deleteBucket, nil
	case http.MethodPost:
		if q.Has("delete") {
			return "DeleteObjects", (*Server).deleteObjects, nil
		}
		return "", nil, notImplemented("POST to a bucket")
	case http.MethodGet:
		switch {
		case lifecycle:
			return "GetBucketLifecycleConfiguration", (*Server).getLifecycle, nil
		case q.Has("location"):
			return "GetBucketLocation", (*Server).getLocation, nil
		case q.Has("uploads"):
			return "ListMultipartUploads", (*Server).listUploads, nil
		case q.Get("list-type") == "2":
			return "ListObjectsV2", (*Server).listObjects, nil
		}
		return "", nil, notImplemented("ListObjects; ask for list-type=2")
	}
	return "", nil, methodNotAllowed(method)
}

func routeKey(method string, q url.Values) (string, operation, *Error) {
	upload := q.Has("uploadId")
	switch method {
	case http.MethodPut:
		if upload {
			return "UploadPart", (*Server).uploadPart, nil
		}
		return "PutObject", (*Server).putObject, nil
	case http.MethodGet:
		if upload {
			return "ListParts", (*Server).listParts, nil
		}
		if q.Has("partNumber") {
			return "", nil, notImplemented("?partNumber")
		}
		return "GetObject", (*Server).getObject, nil
	case http.MethodHead:
		if q.Has("partNumber") {
			return "", nil, notImplemented("?partNumber")
		}
		return "HeadObject", (*Server).headObject, nil
	case http.MethodDelete:
		if upload {
			return "AbortMultipartUpload", (*Server).abortUpload, nil
		}
		return "DeleteObject", (*Server).deleteObject, nil
	case http.MethodPost:
		switch {
		case q.Has("uploads"):
			return "CreateMultipartUpload", (*Server).createUpload, nil
		case upload:
			return "CompleteMultipartUpload", (*Server).completeUpload, nil
		}
		return "", nil, notImplemented("POST to a key")
	}
	return "", nil, methodNotAllowed(method)
}

func methodNotAllowed(method string) *Error {
	return errorf(http.StatusMethodNotAllowed, "MethodNotAllowed",
		"The specified method is not allowed against this resource: %s", method)
}
