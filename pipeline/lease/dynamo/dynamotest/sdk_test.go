package dynamotest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/shardlake/shardlake/pipeline/lease/dynamo/dynamotest"
)

func server(t *testing.T, config dynamotest.Config) (*dynamotest.Server, *dynamodb.Client) {
	t.Helper()
	srv := dynamotest.New(config)
	check(t, srv.MakeTable("rows", "k"))
	return srv, newClient(srv)
}

func put(ctx context.Context, c *dynamodb.Client, item attrs) error {
	_, err := c.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("rows"), Item: item})
	return err
}

func TestTables(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	srv := dynamotest.New(dynamotest.Config{Now: func() time.Time { return now }, CreateTime: time.Minute, DeleteTime: time.Minute, Region: "eu-west-1"})
	c, name := newClient(srv), aws.String("leases")
	in := &dynamodb.CreateTableInput{
		TableName: name, BillingMode: types.BillingModePayPerRequest, DeletionProtectionEnabled: aws.Bool(true),
		Tags:                 []types.Tag{{Key: aws.String("team"), Value: aws.String("web")}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("k"), AttributeType: "S"}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("k"), KeyType: "HASH"}},
	}
	_, err := c.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: name})
	wantCode(t, "describe", err, "ResourceNotFoundException")
	_, err = c.CreateTable(t.Context(), in)
	check(t, err)
	_, err = c.CreateTable(t.Context(), in)
	wantCode(t, "create again", err, "ResourceInUseException")
	out, err := c.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: name})
	check(t, err)
	if d := out.Table; d.TableStatus != "CREATING" || !d.CreationDateTime.Equal(now) || *d.TableArn != "arn:aws:dynamodb:eu-west-1:123456789012:table/leases" {
		t.Errorf("described %+v", d)
	}
	_, err = c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: name, Item: attrs{"k": str("a")}})
	wantCode(t, "put in a table that is being made", err, "ResourceNotFoundException")
	now = now.Add(time.Minute)
	_, err = c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: name, Item: attrs{"k": str("a")}})
	check(t, err)
	_, err = c.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: name})
	wantCode(t, "delete what is protected", err, "ValidationException")

	in.TableName, in.DeletionProtectionEnabled = aws.String("other"), nil
	_, err = c.CreateTable(t.Context(), in)
	check(t, err)
	now = now.Add(time.Minute)
	_, err = c.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: in.TableName})
	check(t, err)
	_, err = c.CreateTable(t.Context(), in)
	wantCode(t, "create what is being deleted", err, "ResourceInUseException")
	now = now.Add(time.Minute)
	_, err = c.CreateTable(t.Context(), in)
	check(t, err)
	if got := srv.Tables(); fmt.Sprint(got) != "[leases other]" {
		t.Errorf("tables %v", got)
	}
	for what, edit := range map[string]func(*dynamodb.CreateTableInput){
		"name":    func(in *dynamodb.CreateTableInput) { in.TableName = aws.String("a b") },
		"billing": func(in *dynamodb.CreateTableInput) { in.BillingMode = "" },
		"key":     func(in *dynamodb.CreateTableInput) { in.KeySchema[0].AttributeName = aws.String("x") },
		"index": func(in *dynamodb.CreateTableInput) {
			in.LocalSecondaryIndexes = []types.LocalSecondaryIndex{{IndexName: aws.String("i"), KeySchema: in.KeySchema, Projection: &types.Projection{}}}
		},
	} {
		bad := *in
		bad.TableName, bad.KeySchema = aws.String("third"), []types.KeySchemaElement{in.KeySchema[0]}
		edit(&bad)
		_, err = c.CreateTable(t.Context(), &bad)
		wantCode(t, what, err, "ValidationException")
	}
}

// TestConditionFailed: the item comes with the error if it is asked for.
func TestConditionFailed(t *testing.T) {
	for _, never := range []bool{false, true} {
		_, c := server(t, dynamotest.Config{NoOldOnFailure: never})
		check(t, put(t.Context(), c, attrs{"k": str("a"), "n": num("1")}))
		for _, asked := range []types.ReturnValuesOnConditionCheckFailure{"", "NONE", "ALL_OLD"} {
			for what, f := range map[string]func() error{
				"put": func() error {
					_, err := c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("rows"), Item: attrs{"k": str("a")}, ConditionExpression: aws.String("attribute_not_exists(k)"), ReturnValuesOnConditionCheckFailure: asked})
					return err
				},
				"update": func() error {
					_, err := c.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String("rows"), Key: attrs{"k": str("a")}, UpdateExpression: aws.String("REMOVE n"), ConditionExpression: aws.String("attribute_exists(x)"), ReturnValuesOnConditionCheckFailure: asked})
					return err
				},
				"delete": func() error {
					_, err := c.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("rows"), Key: attrs{"k": str("a")}, ConditionExpression: aws.String("attribute_exists(x)"), ReturnValuesOnConditionCheckFailure: asked})
					return err
				},
			} {
				failed, ok := errors.AsType[*types.ConditionalCheckFailedException](f())
				if !ok || (len(failed.Item) == 2) != (asked == "ALL_OLD" && !never) {
					t.Errorf("%s, asked %q: %+v", what, asked, failed)
				}
			}
		}
		_, err := c.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String("rows"), Key: attrs{"k": str("absent")}, UpdateExpression: aws.String("SET n = k"), ConditionExpression: aws.String("attribute_exists(k)"), ReturnValuesOnConditionCheckFailure: "ALL_OLD"})
		failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
		if !ok || failed.Item != nil {
			t.Errorf("absent: %v", err)
		}
	}
}

func TestReturnValues(t *testing.T) {
	_, c := server(t, dynamotest.Config{})
	key := attrs{"k": str("a")}
	for _, p := range []struct {
		values types.ReturnValue
		want   attrs
	}{
		{"", nil}, {"NONE", nil},
		{"ALL_OLD", attrs{"k": str("a"), "n": num("1"), "s": str("x")}},
		{"ALL_NEW", attrs{"k": str("a"), "n": num("2"), "new": num("5")}},
		{"UPDATED_OLD", attrs{"n": num("1"), "s": str("x")}},
		{"UPDATED_NEW", attrs{"n": num("2"), "new": num("5")}},
	} {
		check(t, put(t.Context(), c, attrs{"k": str("a"), "n": num("1"), "s": str("x")}))
		out, err := c.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String("rows"), Key: key, UpdateExpression: aws.String("SET n = n + :one, #n = :five REMOVE s"), ReturnValues: p.values,
			ExpressionAttributeNames: map[string]string{"#n": "new"}, ExpressionAttributeValues: attrs{":one": num("1"), ":five": num("5")},
		})
		check(t, err)
		sameItem(t, string(p.values), out.Attributes, p.want)
	}
	old, err := c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("rows"), Item: key, ReturnValues: "ALL_OLD"})
	check(t, err)
	sameItem(t, "put", old.Attributes, attrs{"k": str("a"), "n": num("2"), "new": num("5")})
	gone, err := c.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("rows"), Key: key, ReturnValues: "ALL_OLD"})
	check(t, err)
	sameItem(t, "delete", gone.Attributes, key)
	if _, err := c.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("rows"), Key: key}); err != nil {
		t.Errorf("delete what is not there: %v", err)
	}
	_, err = c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("rows"), Item: key, ReturnValues: "ALL_NEW"})
	wantCode(t, "ALL_NEW of a put", err, "ValidationException")
	// Without a condition an update makes what is not there, as the service does.
	made, err := c.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String("rows"), Key: key, UpdateExpression: aws.String("ADD n :one"), ExpressionAttributeValues: attrs{":one": num("1")}, ReturnValues: "ALL_NEW"})
	check(t, err)
	sameItem(t, "made", made.Attributes, attrs{"k": str("a"), "n": num("1")})
}

// TestRefused: what the service refuses, and what this server does not have.
func TestRefused(t *testing.T) {
	_, c := server(t, dynamotest.Config{})
	for what, item := range map[string]attrs{
		"no key":         {"n": num("1")},
		"key of a type":  {"k": num("1")},
		"empty key":      {"k": str("")},
		"long key":       {"k": str(strings.Repeat("x", 2049))},
		"empty set":      {"k": str("a"), "v": strs()},
		"double in set":  {"k": str("a"), "v": strs("x", "x")},
		"empty element":  {"k": str("a"), "v": strs("x", "")},
		"double numbers": {"k": str("a"), "v": nums("1", "1.0")},
		"no number":      {"k": str("a"), "v": num("one")},
		"digits":         {"k": str("a"), "v": num(strings.Repeat("1", 39))},
		"magnitude":      {"k": str("a"), "v": num("1E126")},
		"tiny":           {"k": str("a"), "v": num("1E-131")},
		"false null":     {"k": str("a"), "v": &types.AttributeValueMemberNULL{}},
		"size":           {"k": str("a"), "v": str(strings.Repeat("x", 400<<10))},
	} {
		wantCode(t, what, put(t.Context(), c, item), "ValidationException")
	}
	check(t, put(t.Context(), c, attrs{"k": str(strings.Repeat("x", 2048)), "v": str(strings.Repeat("x", 400<<10-2050))}))
	_, err := c.Query(t.Context(), &dynamodb.QueryInput{TableName: aws.String("rows")})
	wantCode(t, "query", err, "ValidationException")
	_, err = c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("rows"), Key: attrs{"k": str("a")}, ProjectionExpression: aws.String("k")})
	wantCode(t, "projection", err, "ValidationException")
	_, err = c.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String("rows"), Key: attrs{"k": str("a")}, UpdateExpression: aws.String("SET m.x = k")})
	wantCode(t, "path", err, "ValidationException")
	_, err = c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("rows"), Key: attrs{"k": str("a"), "n": num("1")}})
	wantCode(t, "two keys", err, "ValidationException")
	_, err = c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("none"), Key: attrs{"k": str("a")}})
	wantCode(t, "no table", err, "ResourceNotFoundException")
}

// TestNumbers are kept exactly and come back plain.
func TestNumbers(t *testing.T) {
	_, c := server(t, dynamotest.Config{})
	for in, want := range map[string]string{
		"1.39E-4": "0.000139", "0.0": "0", "-0": "0", "007": "7", "1e3": "1000", "+5": "5", "-1.50": "-1.5", ".5": "0.5",
		"12345678901234567890123456789012345678": "12345678901234567890123456789012345678", "1E125": "1" + strings.Repeat("0", 125), "1E-130": "0." + strings.Repeat("0", 129) + "1",
		"-9223372036854775808": "-9223372036854775808", "18446744073709551615": "18446744073709551615",
	} {
		check(t, put(t.Context(), c, attrs{"k": str("a"), "n": num(in)}))
		out, err := c.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String("rows"), Key: attrs{"k": str("a")}, UpdateExpression: aws.String("SET n = n + :z"), ExpressionAttributeValues: attrs{":z": num("0")}, ReturnValues: "ALL_NEW"})
		check(t, err)
		sameItem(t, in, out.Attributes, attrs{"k": str("a"), "n": num(want)})
	}
}

// TestScan: pages by size or by count, each item once, whatever happens between.
func TestScan(t *testing.T) {
	srv, c := server(t, dynamotest.Config{PageBytes: 500})
	for i := range 100 {
		check(t, put(t.Context(), c, attrs{"k": str(fmt.Sprint("item-", i)), "n": num(fmt.Sprint(i)), "pad": str(strings.Repeat("x", 80))}))
	}
	for _, limit := range []int32{0, 1, 7} {
		seen, pages := map[string]int{}, 0
		in := &dynamodb.ScanInput{TableName: aws.String("rows"), ConsistentRead: aws.Bool(true), FilterExpression: aws.String("n < :fifty"), ExpressionAttributeValues: attrs{":fifty": num("50")}}
		if limit > 0 {
			in.Limit = &limit
		}
		for {
			out, err := c.Scan(t.Context(), in)
			check(t, err)
			pages++
			for _, i := range out.Items {
				seen[i["k"].(*types.AttributeValueMemberS).Value]++
			}
			if len(out.LastEvaluatedKey) == 0 {
				break
			}
			// The item at which the page ended may go.
			if k := out.LastEvaluatedKey["k"].(*types.AttributeValueMemberS).Value; limit == 7 {
				srv.Remove("rows", k)
			}
			in.ExclusiveStartKey = out.LastEvaluatedKey
		}
		if len(seen) != 50 || pages < 15 {
			t.Errorf("limit %d: %d items on %d pages", limit, len(seen), pages)
		}
		for k, n := range seen {
			if n != 1 {
				t.Errorf("limit %d: %s was seen %d times", limit, k, n)
			}
		}
	}
}

func TestUsage(t *testing.T) {
	srv, c := server(t, dynamotest.Config{})
	key := attrs{"k": str("a")}
	check(t, put(t.Context(), c, attrs{"k": str("a"), "v": str(strings.Repeat("x", 5000))}))
	out, err := c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("rows"), Key: key, ConsistentRead: aws.Bool(true), ReturnConsumedCapacity: "TOTAL"})
	check(t, err)
	if *out.ConsumedCapacity.CapacityUnits != 2 {
		t.Errorf("a consistent read of 5 KB takes %v units", *out.ConsumedCapacity.CapacityUnits)
	}
	_, err = c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("rows"), Key: key})
	check(t, err)
	_, err = c.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String("rows"), Key: key, UpdateExpression: aws.String("REMOVE v")})
	check(t, err)
	_, err = c.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("rows"), Key: key, ConditionExpression: aws.String("attribute_exists(v)")})
	wantCode(t, "delete", err, "ConditionalCheckFailedException")
	for op, want := range map[string]dynamotest.Usage{
		"PutItem": {Calls: 1, Write: 5}, "GetItem": {Calls: 2, Read: 3}, "UpdateItem": {Calls: 1, Write: 5}, "DeleteItem": {Calls: 1, Write: 1},
		"": {Calls: 5, Read: 3, Write: 11}, "Scan": {},
	} {
		if got := srv.Usage(op); got != want {
			t.Errorf("%s: %+v, want %+v", op, got, want)
		}
	}
	srv.ResetUsage()
	if got := srv.Usage(""); got != (dynamotest.Usage{}) {
		t.Errorf("%+v after the reset", got)
	}
}

// TestDirect: a test reads and writes items beside the clients.
func TestDirect(t *testing.T) {
	srv, c := server(t, dynamotest.Config{})
	if err := srv.MakeTable("rows", "k"); err == nil {
		t.Error("made twice")
	}
	item := dynamotest.Item{
		"k": dynamotest.S("a"), "n": dynamotest.N("1.0"), "b": dynamotest.B([]byte{0}), "ss": dynamotest.SS("y", "x"), "yes": dynamotest.Bool(true),
		"none": dynamotest.Null(), "l": dynamotest.L(dynamotest.N("1")), "m": dynamotest.M(dynamotest.Item{"x": dynamotest.S("y")}),
	}
	check(t, srv.Put("rows", item))
	out, err := c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("rows"), Key: attrs{"k": str("a")}})
	check(t, err)
	sameItem(t, "got", out.Item, attrs{
		"k": str("a"), "n": num("1"), "b": bin("\x00"), "ss": strs("x", "y"), "yes": truth(true), "none": &types.AttributeValueMemberNULL{Value: true},
		"l": list(num("1")), "m": &types.AttributeValueMemberM{Value: attrs{"x": str("y")}},
	})
	got := srv.Item("rows", "a")
	item["n"] = dynamotest.N("1")
	if !got.Equal(item) {
		t.Errorf("got %+v, want %+v", got, item)
	}
	got["m"].Map["x"] = dynamotest.S("spoilt")
	if srv.Item("rows", "a")["m"].Map["x"].Text != "y" {
		t.Error("the server's item was changed from outside")
	}
	if !srv.Edit("rows", "a", func(i dynamotest.Item) { delete(i, "m") }) || srv.Edit("rows", "b", func(dynamotest.Item) {}) {
		t.Error("edit")
	}
	if n := len(srv.Items("rows")); n != 1 {
		t.Errorf("%d items", n)
	}
	srv.Remove("rows", "a")
	if srv.Item("rows", "a") != nil || srv.Item("none", "a") != nil {
		t.Error("removed items are there")
	}
	for _, bad := range []dynamotest.Item{{}, {"k": dynamotest.N("1")}, {"k": dynamotest.S("a"), "v": {Type: "X"}}, {"k": dynamotest.S("a"), "v": dynamotest.SS()}, {"k": dynamotest.S("a"), "v": dynamotest.N("x")}} {
		if err := srv.Put("rows", bad); err == nil {
			t.Errorf("put %+v", bad)
		}
	}
}

// TestKinds: what each kind answers, and whether the item is there afterwards.
func TestKinds(t *testing.T) {
	for _, p := range []struct {
		kind    dynamotest.Kind
		code    string // "" for a cut connection, "ok" for none
		visible bool
		took    time.Duration
	}{
		{dynamotest.Throttle, "ProvisionedThroughputExceededException", false, 0},
		{dynamotest.InternalError, "InternalServerError", false, 0},
		{dynamotest.InternalErrorAfter, "InternalServerError", true, 0},
		{dynamotest.AccessDenied, "AccessDeniedException", false, 0},
		{dynamotest.ErrorAnswer, "LimitExceededException", false, 0},
		{dynamotest.CutBefore, "", false, 0},
		{dynamotest.LostAnswer, "", true, 0},
		{dynamotest.Late, "", false, 0},
		{dynamotest.Slow, "ok", true, time.Second},
		{dynamotest.SlowAnswer, "ok", true, time.Second},
		{dynamotest.Pass, "ok", true, 0},
		{dynamotest.Kind(99), "", false, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv, c := server(t, dynamotest.Config{})
			did := false
			hit := srv.Fault(dynamotest.Fault{Op: "PutItem", Table: "rows", Key: "a", Nth: 2, Kind: p.kind, Code: "LimitExceededException", Do: func() { did = srv.Item("rows", "a") == nil }})
			check(t, put(t.Context(), c, attrs{"k": str("a")}))
			srv.Remove("rows", "a")
			check(t, put(t.Context(), c, attrs{"k": str("other")}))
			begun := time.Now()
			err := put(t.Context(), c, attrs{"k": str("a")})
			switch p.code {
			case "ok":
				check(t, err)
			case "":
				if !errors.Is(err, io.EOF) {
					t.Errorf("%v: %v, want a cut connection", p.kind, err)
				}
			default:
				wantCode(t, p.kind.String(), err, p.code)
			}
			if (srv.Item("rows", "a") != nil) != p.visible || time.Since(begun) != p.took || hit.Hits() != 1 || !did {
				t.Errorf("%v: item %v after %v, %d hits", p.kind, srv.Item("rows", "a"), time.Since(begun), hit.Hits())
			}
			if lost := hit.Lost(); (p.kind == dynamotest.LostAnswer) != (len(lost) == 1 && lost[0] == nil) {
				t.Errorf("%v: lost %v", p.kind, lost)
			}
			errs := hit.Release()
			if late := p.kind == dynamotest.Late; late != (len(errs) == 1) || srv.Item("rows", "a") == nil && late {
				t.Errorf("%v: released %v", p.kind, errs)
			}
			check(t, put(t.Context(), c, attrs{"k": str("a")})) // once only
		})
	}
}

// TestGivingUp: a client that gives up frees the server, and a slow effect may come
// before that.
func TestGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, c := server(t, dynamotest.Config{})
		for kind, visible := range map[dynamotest.Kind]bool{dynamotest.Hang: false, dynamotest.Slow: false, dynamotest.SlowAnswer: true} {
			srv.Remove("rows", "a")
			hit := srv.Fault(dynamotest.Fault{Kind: kind, Delay: time.Hour, Times: dynamotest.Forever})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			begun := time.Now()
			if err := put(ctx, c, attrs{"k": str("a")}); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Minute {
				t.Errorf("%v: %v after %v", kind, err, time.Since(begun))
			}
			cancel()
			synctest.Wait()
			if (srv.Item("rows", "a") != nil) != visible {
				t.Errorf("%v: item %v", kind, srv.Item("rows", "a"))
			}
			hit.Remove()
			check(t, put(t.Context(), c, attrs{"k": str("a")}))
		}
	})
}

// TestRaces: of conditional writes at once, one wins.
func TestRaces(t *testing.T) {
	srv, err := dynamotest.Listen(dynamotest.Config{})
	check(t, err)
	check(t, srv.MakeTable("rows", "k"))
	c := dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: aws.String(srv.URL()), Credentials: static{}})
	var wg sync.WaitGroup
	errs := make([]error, 10)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("rows"), Item: attrs{"k": str("a"), "by": num(fmt.Sprint(i))}, ConditionExpression: aws.String("attribute_not_exists(k)")})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wantCode(t, "a loser", err, "ConditionalCheckFailedException")
		}
	}
	if won != 1 {
		t.Errorf("%d have won", won)
	}
	check(t, srv.Close())
	check(t, srv.Close())
	if srv.Item("rows", "a") == nil {
		t.Error("the state is gone with the listener")
	}
}

// TestOtherRequests: what is no request of DynamoDB is answered as one.
func TestOtherRequests(t *testing.T) {
	srv := dynamotest.New(dynamotest.Config{})
	for what, r := range map[string]struct{ method, target, body string }{
		"a browser":         {"GET", "", ""},
		"an older version":  {"POST", "DynamoDB_20111205.GetItem", "{}"},
		"no JSON":           {"POST", "DynamoDB_20120810.GetItem", "<xml/>"},
		"another parameter": {"POST", "DynamoDB_20120810.GetItem", `{"TableName":"rows","AttributesToGet":["k"]}`},
		"two types":         {"POST", "DynamoDB_20120810.GetItem", `{"TableName":"rows","Key":{"k":{"S":"a","N":"1"}}}`},
		"no type":           {"POST", "DynamoDB_20120810.GetItem", `{"TableName":"rows","Key":{"k":{"X":"a"}}}`},
	} {
		req, err := http.NewRequestWithContext(t.Context(), r.method, srv.URL(), strings.NewReader(r.body))
		check(t, err)
		req.Header.Set("X-Amz-Target", r.target)
		resp, err := srv.Client().Do(req)
		check(t, err)
		b, err := io.ReadAll(resp.Body)
		check(t, errors.Join(err, resp.Body.Close()))
		if resp.StatusCode != 400 || !strings.Contains(string(b), "Exception") {
			t.Errorf("%s: status %d, %s", what, resp.StatusCode, b)
		}
	}
}
