package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/shardlake/shardlake/internal/awsnet"
)

// Checksums says how the bytes of parts are protected on their way.
type Checksums int

const (
	// ChecksumCRC32 is the default: the upload declares CRC32 when it is created,
	// and each part carries the checksum of its bytes in the header
	// x-amz-checksum-crc32, computed once while the part lies in memory. Amazon S3
	// refuses a part that does not match and keeps the checksum.
	ChecksumCRC32 Checksums = iota
	// ChecksumWhenRequired sends no checksum header of any kind, for S3-compatible
	// stores that do not know them. Bytes are then protected by TLS, or without TLS
	// by the signature, which covers their SHA-256.
	ChecksumWhenRequired
)

// Limits of multipart upload in Amazon S3 (user guide, "Amazon S3 multipart
// upload limits").
const (
	minPartSize int64 = 5 << 20
	maxPartSize int64 = 5 << 30
	maxParts          = 10_000
	maxKey            = 1024
	maxMeta           = 2048 // of all metadata together
)

const (
	defaultPartSize = 8 << 20
	defaultRetryFor = time.Minute
	fallbackRegion  = "us-east-1"
)

// Config says which bucket and how. The zero value of each field but Bucket is a
// sensible default.
type Config struct {
	// Bucket is the name of the bucket, or the ARN of an access point. It must
	// exist.
	Bucket string
	// Region of the bucket. By default it is that of the environment or the shared
	// configuration files, and if the bucket turns out to be elsewhere, the region
	// that Amazon S3 names.
	Region string
	// Endpoint is the URL of an S3-compatible store, such as
	// https://minio.example:9000, or of a VPC endpoint. By default it is Amazon S3
	// in Region. With an endpoint the bucket's name goes into the path. Set it
	// here rather than in AWS_ENDPOINT_URL, so that stored uploads carry it.
	Endpoint string
	// AllowHTTP permits an Endpoint of scheme http that is not the loopback
	// interface. Everything then travels in the clear.
	AllowHTTP bool

	// PartSize is the size in bytes of each part but the last: 8 MiB by default, 5
	// MiB at least. An object has at most 10,000 parts. Each open file holds about
	// one part in memory.
	PartSize int
	// Checksums is ChecksumCRC32 by default.
	Checksums Checksums
	// ExpectedBucketOwner is the account id of 12 digits that must own the bucket;
	// by default anybody may.
	ExpectedBucketOwner string
	// SSE is the server-side encryption: "AES256", "aws:kms" or "aws:kms:dsse". By
	// default it is that of the bucket.
	SSE string
	// KMSKey is the id or ARN of the key for SSE of a KMS kind. SSE is "aws:kms" if
	// only KMSKey is given.
	KMSKey string
	// StorageClass of the objects, such as "INTELLIGENT_TIERING"; STANDARD by
	// default.
	StorageClass string

	// RetryFor is how long a call is repeated that the service could not serve: one
	// minute by default. Callers repeat it further.
	RetryFor time.Duration

	// AWS returns the configuration of the SDK: region, credentials, HTTP client.
	// By default it is read from the environment and the shared files. It is called
	// by the first call of the store, and again if it failed.
	AWS func(ctx context.Context) (aws.Config, error)
	// Credentials replaces those of AWS. They are asked again when they expire, and
	// when the service says that they have.
	Credentials aws.CredentialsProvider
	// HTTPClient replaces that of AWS. By default it is one per store, which keeps
	// up to 256 connections open.
	HTTPClient aws.HTTPClient
	// Options is a last say over the SDK's options, except retry, checksums and the
	// HTTP client, which the store sets itself.
	Options func(*awss3.Options)
}

// check returns all mistakes together.
func (c *Config) check(minPart int64) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case c.Bucket == "":
		bad("Bucket is empty: name the bucket")
	case strings.ContainsAny(c.Bucket, "?#% \t\r\n\\"), strings.Contains(c.Bucket, "/") && !strings.HasPrefix(c.Bucket, "arn:"):
		bad("Bucket %q is not the name of a bucket: give the bare name without s3:// and path; prefixes belong to Folder", c.Bucket)
	case c.Endpoint == "" && !strings.HasPrefix(c.Bucket, "arn:") && !awsBucketName(c.Bucket):
		bad("Bucket %q is not a name that Amazon S3 has: 3 to 63 of a-z, 0-9, dot and hyphen", c.Bucket)
	}
	if c.Endpoint != "" {
		if err := awsnet.CheckEndpoint(c.Endpoint, c.AllowHTTP); err != nil {
			errs = append(errs, err)
		}
	}
	if c.PartSize != 0 && (int64(c.PartSize) < minPart || int64(c.PartSize) > maxPartSize) {
		bad("PartSize is %d: want %d (5 MiB) to %d, or 0 for 8 MiB", c.PartSize, minPart, maxPartSize)
	}
	if c.Checksums != ChecksumCRC32 && c.Checksums != ChecksumWhenRequired {
		bad("Checksums is %d: want ChecksumCRC32 or ChecksumWhenRequired", c.Checksums)
	}
	if o := c.ExpectedBucketOwner; o != "" && (len(o) != 12 || strings.Trim(o, "0123456789") != "") {
		bad("ExpectedBucketOwner %q is not an account id of 12 digits", o)
	}
	switch types.ServerSideEncryption(c.SSE) {
	case "", types.ServerSideEncryptionAwsKms, types.ServerSideEncryptionAwsKmsDsse:
	case types.ServerSideEncryptionAes256:
		if c.KMSKey != "" {
			bad("KMSKey is set with SSE %q: use \"aws:kms\"", c.SSE)
		}
	default:
		bad("SSE %q is unknown: want \"AES256\", \"aws:kms\" or \"aws:kms:dsse\"", c.SSE)
	}
	if c.RetryFor < 0 {
		bad("RetryFor is %v: want a positive time, or 0 for %v", c.RetryFor, defaultRetryFor)
	}
	return errors.Join(errs...)
}

// awsBucketName checks what is cheap to check of the rules for bucket names.
func awsBucketName(s string) bool {
	return len(s) >= 3 && len(s) <= 63 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") == "" && s[0] != '.' && s[0] != '-'
}
