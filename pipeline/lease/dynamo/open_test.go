package dynamo_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo/dynamotest"
)

func client(srv *dynamotest.Server) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region: "us-east-1", HTTPClient: srv.Client(), Credentials: static{}, BaseEndpoint: aws.String(srv.URL()), Retryer: aws.NopRetryer{},
	})
}

// TestOpenMakesTheTable: with the KCL's key, on demand, once, and waits for it.
func TestOpenMakesTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := dynamotest.New(dynamotest.Config{CreateTime: 30 * time.Second})
		s := over(srv, dynamo.Config{Tags: map[string]string{"team": "web"}, DeletionProtection: true})
		begun := time.Now()
		check(t, s.Open(t.Context()))
		if took := time.Since(begun); took < 30*time.Second || took > 32*time.Second {
			t.Errorf("waited %v for a table that takes 30 s", took)
		}
		out, err := client(srv).DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String(table)})
		check(t, err)
		d := out.Table
		if len(d.KeySchema) != 1 || *d.KeySchema[0].AttributeName != "leaseKey" || d.BillingModeSummary.BillingMode != types.BillingModePayPerRequest || !*d.DeletionProtectionEnabled {
			t.Errorf("made %+v", d)
		}
		// Workers that start together do not disturb each other.
		srv = dynamotest.New(dynamotest.Config{CreateTime: 10 * time.Second})
		errs := make(chan error, 4)
		for range cap(errs) {
			go func() { errs <- over(srv, dynamo.Config{}).Open(t.Context()) }()
		}
		for range cap(errs) {
			check(t, <-errs)
		}
		check(t, over(srv, dynamo.Config{NoCreate: true}).Open(t.Context()))
		check(t, s.Open(t.Context())) // again
	})
}

// TestOpenRefuses: what it cannot work with, with a remedy.
func TestOpenRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := dynamotest.New(dynamotest.Config{})
		wantError(t, "no table", over(srv, dynamo.Config{NoCreate: true}).Open(t.Context()), table, "NoCreate", "leaseKey")
		if len(srv.Tables()) != 0 {
			t.Error("it was made")
		}
		check(t, srv.MakeTable(table, "id"))
		wantError(t, "another key", over(srv, dynamo.Config{}).Open(t.Context()), table, "HASH id (S)", "another name")
		_, err := client(srv).CreateTable(t.Context(), &dynamodb.CreateTableInput{
			TableName: aws.String("orders"), BillingMode: types.BillingModePayPerRequest,
			AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("leaseKey"), AttributeType: "S"}, {AttributeName: aws.String("at"), AttributeType: "N"}},
			KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("leaseKey"), KeyType: "HASH"}, {AttributeName: aws.String("at"), KeyType: "RANGE"}},
		})
		check(t, err)
		wantError(t, "a sort key", over(srv, dynamo.Config{Table: "orders"}).Open(t.Context()), "orders", "RANGE at (N)")

		slow := dynamotest.New(dynamotest.Config{CreateTime: time.Hour})
		begun := time.Now()
		wantError(t, "never ready", over(slow, dynamo.Config{}).Open(t.Context()), "CREATING", "5m")
		if took := time.Since(begun); took < 5*time.Minute || took > 6*time.Minute {
			t.Errorf("waited %v", took)
		}
	})
}

// kclWorker moves the counters of its rows as the KCL does, until stop.
func kclWorker(srv *dynamotest.Server, stop <-chan struct{}, lanes ...string) {
	for n := 18; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(3308 * time.Millisecond):
		}
		for _, l := range lanes {
			srv.Edit(table, l, func(i dynamotest.Item) { i["leaseCounter"] = dynamotest.N(fmt.Sprint(n)) })
		}
	}
}

// TestLiveKCL: two programs must not read the same shards.
func TestLiveKCL(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(dynamotest.Item)
	}{
		{"of its own", nil},
		{"on rows of ours", func(i dynamotest.Item) {
			i["sl_tok"], i["sl_owner"], i["sl_inc"] = dynamotest.S("old"), dynamotest.S("our-worker"), dynamotest.S("0123456789abcdef")
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := dynamotest.New(dynamotest.Config{})
			check(t, srv.MakeTable(table, "leaseKey"))
			for _, l := range []string{"a", "b", "c"} {
				check(t, srv.Put(table, kclRow(l, "5", c.edit)))
			}
			before := srv.Items(table)
			stop := make(chan struct{})
			go kclWorker(srv, stop, "b")
			s := over(srv, dynamo.Config{})
			begun := time.Now()
			wantError(t, c.name, s.Open(t.Context()), table, `"b"`, `"host:uuid"`, "stop that application")
			if took := time.Since(begun); took > 7*time.Second {
				t.Errorf("%s: took %v", c.name, took)
			}
			close(stop)
			if len(srv.Items(table)) != len(before) || srv.Usage("UpdateItem").Calls != 0 || srv.Usage("PutItem").Calls != 0 {
				t.Errorf("%s: something was written", c.name)
			}
			// Stopped, it leaves its name in the rows.
			begun = time.Now()
			check(t, s.Open(t.Context()))
			if took := time.Since(begun); took < 6*time.Second || took > 9*time.Second {
				t.Errorf("%s: watched for %v, want two thirds of 10 s", c.name, took)
			}
			if r := take(t, s, "b", "me"); r.Pos.Seq != "5" {
				t.Errorf("%s: took %+v", c.name, r)
			}
		})
	}
}

// TestOpenBesideOurFleet: a worker that joins its own fleet does not wait.
func TestOpenBesideOurFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := dynamotest.New(dynamotest.Config{})
		s := opened(t, srv, dynamo.Config{})
		r := mine(t, s)
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Second):
				}
				if _, err := s.Renew(t.Context(), r); err != nil && !errors.Is(err, lease.ErrLost) {
					t.Error(err)
				}
			}
		}()
		check(t, srv.Put(table, kclRow("idle", "5", func(i dynamotest.Item) { delete(i, "leaseOwner") })))
		begun := time.Now()
		check(t, over(srv, dynamo.Config{}).Open(t.Context()))
		if took := time.Since(begun); took > time.Second {
			t.Errorf("took %v", took)
		}
		close(stop)
	})
}

// TestConfig: all mistakes together, by Open and by every call, without I/O.
func TestConfig(t *testing.T) {
	for _, c := range []struct {
		cfg  dynamo.Config
		want []string
	}{
		{dynamo.Config{}, []string{"Table is empty"}},
		{dynamo.Config{Table: "a/b", RetryFor: -1, HeadEvery: -1, Endpoint: "http://10.0.0.1"}, []string{`"a/b"`, "RetryFor", "HeadEvery", "AllowHTTP"}},
		{dynamo.Config{Table: table, Endpoint: "localhost:8000"}, []string{"https://host:port"}},
		{dynamo.Config{Table: table, Endpoint: "https://user:pass@host"}, []string{"user"}},
		{dynamo.Config{Table: table, Client: &dynamodb.Client{}, Region: "x"}, []string{"Client"}},
		{dynamo.Config{Table: table, NoCreate: true, DeletionProtection: true}, []string{"NoCreate"}},
	} {
		s := dynamo.Table(c.cfg)
		wantError(t, "open", s.Open(t.Context()), c.want...)
		_, err := s.List(t.Context())
		wantError(t, "list", err, c.want...)
		wantError(t, "create", s.Create(t.Context(), lease.Row{Lane: "a"}), c.want...)
		wantError(t, "commit", s.Commit(t.Context(), lease.Row{Lane: "a", Owner: "o", Token: "t", Number: 1}), c.want...)
		wantError(t, "delete", s.Delete(t.Context(), lease.Row{Lane: "a"}), c.want...)
	}
	if err := dynamo.Table(dynamo.Config{Table: table, Endpoint: "https://u:secret@h"}).Open(t.Context()); strings.Contains(err.Error(), "secret") {
		t.Error("the error shows a password")
	}
}

// TestClient: a client of the user's own, whose retries are not used.
func TestClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := dynamotest.New(dynamotest.Config{})
		s := opened(t, srv, dynamo.Config{Client: client(srv)})
		create(t, s, "a")
		if !s.Shared() {
			t.Error("a table is shared")
		}
		hit := srv.Fault(dynamotest.Fault{Op: "GetItem", Times: 3, Kind: dynamotest.InternalError})
		get(t, s, "a")
		if hit.Hits() != 3 {
			t.Errorf("%d hits", hit.Hits())
		}
	})
}

// TestEnvironment: what the environment lacks or gets wrong is said at once.
func TestEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		value, region, endpoint string
		want                    string
	}{
		"AWS_REGION":                {want: "set Config.Region or AWS_REGION"},
		"AWS_DEFAULT_REGION":        {endpoint: "https://dynamo.example"}, // which needs no region
		"AWS_ENDPOINT_URL_DYNAMODB": {value: "http://10.0.0.1:8000", region: "us-east-1", want: "AllowHTTP"},
		"AWS_PROFILE":               {value: "nobody", region: "us-east-1", want: "correct AWS_PROFILE"},
	} {
		synctest.Test(t, func(t *testing.T) {
			t.Setenv(name, c.value)
			srv, begun := dynamotest.New(dynamotest.Config{}), time.Now()
			s := dynamo.Table(dynamo.Config{Table: table, Region: c.region, Endpoint: c.endpoint, HTTPClient: srv.Client(), Credentials: static{}})
			err := s.Open(t.Context())
			if c.want == "" {
				check(t, err)
			} else {
				wantError(t, name, err, c.want)
			}
			if took := time.Since(begun); took != 0 {
				t.Errorf("%s: took %v", name, took)
			}
		})
	}
}
