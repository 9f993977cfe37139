package s3test

import (
	"time"
)

// Config says how a [Server] behaves. The zero Config is a server as close to
// Amazon S3 as this package gets, without buckets, with the clock of the process
// and 512 MiB of memory.
type Config struct {
	// Buckets are made by New. A name that S3 does not take is left out; requests
	// for it are answered 400 InvalidBucketName.
	Buckets []string
	// Region is where the buckets are said to be. Default: us-east-1. Requests
	// signed for another region are served all the same.
	Region string
	// Now is the clock of all time stamps, of expiry and of the rate limit.
	// Default: time.Now. It is called concurrently.
	Now func() time.Time

	// MinPart is the smallest size in bytes of each part of an upload but the
	// last; CompleteMultipartUpload answers EntityTooSmall below it. Default:
	// 5 MiB, as in S3. Negative: no minimum.
	MinPart int64
	// RepeatComplete is the answer to completing an upload again. Default:
	// RepeatSame.
	RepeatComplete RepeatComplete
	// StrictChecksums refuses, with 400 InvalidRequest, a part with an
	// x-amz-checksum-* of its own if CreateMultipartUpload declared no checksum
	// algorithm. Amazon S3 has done so, and some stores still do. A part whose
	// algorithm is another than the declared one is refused always.
	StrictChecksums bool
	// RequireChecksums refuses, with 400 InvalidRequest, PutObject and UploadPart
	// without Content-MD5 and x-amz-checksum-*, as S3 does in buckets with Object
	// Lock.
	RequireChecksums bool
	// NoTrailers answers 501 NotImplemented to requests with trailing checksums
	// (x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER and the like), as
	// several stores other than Amazon's do.
	NoTrailers bool

	// AllowUnsigned serves requests without a signature. Otherwise they are
	// answered 403 AccessDenied.
	AllowUnsigned bool
	// Credentials is asked for each signed request whether the access key id is
	// good. If the error is or wraps an *Error, that is the answer; any other
	// error becomes 400 ExpiredToken with its text, the answer of S3 to keys that
	// were rotated. nil: every key is good. It is called concurrently and must
	// not call the server.
	Credentials func(accessKey string) error

	// OnVisible is called after an object became visible, was replaced or was
	// deleted, and before the request is answered. No other object changes until
	// it returns, so srv.Objects called in it shows the lake as this one change
	// left it. It must return promptly, must not wait for another request that
	// changes objects, and is never called concurrently.
	OnVisible func(bucket, key string)

	// MaxBytes bounds the bytes of objects, parts and requests in flight that the
	// server holds. What would exceed it is answered 507 InsufficientStorage,
	// which clients do not retry. Default: 512 MiB. Beyond it the server uses the
	// size of one object while an upload is completed.
	MaxBytes int64
	// Dir, if set, is a folder where the visible objects of bucket B are also
	// plain files, DIR/B/KEY, for readers such as DuckDB. A file appears whole, in
	// the same instant as the object (it is written under DIR/.s3test-tmp and
	// renamed), and goes with it; empty folders go too. Nothing is forced to the
	// disk. Use an empty folder: without Keep, what is there is not read and may be
	// replaced.
	// Keys that cannot be such files are answered 400 InvalidRequest: absolute
	// ones, ones with an empty, "." or ".." segment, and ones that would make one
	// path a file and a folder at once. A folder that cannot be written shows as
	// 500 InternalError with the reason.
	Dir string
	// Keep makes Dir outlive the server: beside the files, what S3 knows of each
	// object (ETag, metadata, checksum, ...) is kept under DIR/.s3test-notes, and
	// Server.Load takes it all in again. Unfinished uploads are not kept.
	Keep bool

	// Rate is the number of requests per second, of all kinds, beyond which the
	// answer is 503 SlowDown. 0: no limit. See Server.SetRate.
	Rate float64
	// Burst is the number of requests that may come at once under Rate. Default:
	// Rate, at least 1.
	Burst int
}

// RepeatComplete is what CompleteMultipartUpload answers for an upload that was
// completed before.
type RepeatComplete uint8

const (
	// RepeatSame answers as the first time, if the parts are the same, and changes
	// nothing; the request's conditions are not looked at. So does Amazon S3,
	// which documents the operation as idempotent. The server remembers the last
	// 10,000 uploads.
	RepeatSame RepeatComplete = iota
	// RepeatNoSuchUpload answers 404 NoSuchUpload, as MinIO, Adobe S3Mock and
	// others do (minio/minio#13318, adobe/S3Mock#2586).
	RepeatNoSuchUpload
)

const (
	defaultRegion   = "us-east-1"
	defaultMinPart  = 5 << 20
	defaultMaxBytes = 512 << 20
)

// withDefaults fills the fields that are zero.
func (c Config) withDefaults() Config {
	if c.Region == "" {
		c.Region = defaultRegion
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MinPart == 0 {
		c.MinPart = defaultMinPart
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	return c
}
