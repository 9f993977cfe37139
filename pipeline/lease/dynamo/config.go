package dynamo

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/shardlake/shardlake/internal/awsnet"
	"github.com/shardlake/shardlake/pipeline/lease"
)

const (
	defaultHeadEvery = 100
	defaultRetryFor  = 10 * time.Second
)

// Config says which table and how. The zero value of each field but Table is a
// sensible default.
type Config struct {
	// Table is the name of the table: 3 to 255 of a-z, A-Z, 0-9, "_", "-" and ".".
	// One table holds the rows of one application. The KCL names it after the
	// application; with that name its positions are taken over.
	Table string
	// Region of the table. By default it is that of the environment or the shared
	// configuration files.
	Region string
	// Endpoint is the URL of a server that speaks the protocol, or of a VPC
	// endpoint. By default it is Amazon DynamoDB in Region.
	Endpoint string
	// AllowHTTP permits an Endpoint of scheme http that is not the loopback
	// interface. Everything then travels in the clear.
	AllowHTTP bool
	// Credentials replaces those of the environment. They are asked again when the
	// service says that they have expired.
	Credentials aws.CredentialsProvider
	// HTTPClient replaces the store's own.
	HTTPClient aws.HTTPClient
	// Client replaces the SDK's client, and with it Region, Endpoint, Credentials
	// and HTTPClient. Its retries are not used.
	Client *dynamodb.Client

	// Large keeps what would make a row large: segments of states of more than 1 KiB,
	// and long lists of uploads. The stores of sink/s3 and sink/dir can be used. All processes
	// of a fleet need the same. By default up to 300 KB go into the row itself, and a
	// commit with more fails.
	//
	// With Large, a row that is older than the lake, restored from a backup, is
	// found out when its lane is acquired, and held.
	Large lease.Blobs
	// HeadEvery is how many commits may pass until the number of the last one is
	// written to Large, for finding out rows older than the lake: 100 by default. A
	// backup that is younger than that is not noticed; 1 notices all.
	HeadEvery int

	// NoCreate says that the table must exist. By default Open makes it if it is
	// missing, with PAY_PER_REQUEST.
	NoCreate bool
	// Tags are given to a table that Open makes.
	Tags map[string]string
	// DeletionProtection protects a table that Open makes.
	DeletionProtection bool

	// RetryFor is how long a call is repeated that the service could not serve: 10
	// seconds by default. Callers repeat it further.
	RetryFor time.Duration
	// Log gets warnings; by default they are dropped.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.HeadEvery == 0 {
		c.HeadEvery = defaultHeadEvery
	}
	if c.RetryFor == 0 {
		c.RetryFor = defaultRetryFor
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

var tableName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,255}$`)

// check returns all mistakes together.
func (c *Config) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case c.Table == "":
		bad("Table is empty: name the table, for example after the application")
	case !tableName.MatchString(c.Table):
		bad("Table %.300q is not a name that DynamoDB takes: 3 to 255 of a-z, A-Z, 0-9, \"_\", \"-\" and \".\"", c.Table)
	}
	if c.Endpoint != "" {
		if err := awsnet.CheckEndpoint(c.Endpoint, c.AllowHTTP); err != nil {
			errs = append(errs, err)
		}
	}
	if c.HeadEvery < 0 {
		bad("HeadEvery is %d: want a number of commits, or 0 for %d", c.HeadEvery, defaultHeadEvery)
	}
	if c.RetryFor < 0 {
		bad("RetryFor is %v: want a positive time, or 0 for %v", c.RetryFor, defaultRetryFor)
	}
	if c.Client != nil && (c.Region != "" || c.Endpoint != "" || c.Credentials != nil || c.HTTPClient != nil) {
		bad("Client is set beside Region, Endpoint, Credentials or HTTPClient: set them in the Client's options")
	}
	if c.NoCreate && (len(c.Tags) > 0 || c.DeletionProtection) {
		bad("Tags and DeletionProtection are for a table that Open makes, and NoCreate is set")
	}
	return errors.Join(errs...)
}
