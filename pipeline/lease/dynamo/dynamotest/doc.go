// Package dynamotest is a DynamoDB service inside the process, for tests: an
// http.Handler that speaks DynamoDB's protocol (JSON 1.0 over HTTP, API version
// 2012-08-10), so that the AWS SDK itself is the client.
//
//	srv := dynamotest.New(dynamotest.Config{})
//	client := dynamodb.New(dynamodb.Options{HTTPClient: srv.Client(), ...})
//
// It has what a table of leases needs: CreateTable, DescribeTable, DeleteTable,
// PutItem, GetItem, UpdateItem, DeleteItem and Scan, with condition, filter and
// update expressions over whole attributes, the types and sizes of items, and all
// values of ReturnValues and ReturnValuesOnConditionCheckFailure. It has no Query,
// no transactions, no batches, no indexes, no streams, no time to live, no
// paths into maps and lists, no projections, and none of the parameters from
// before expressions. What it does not have it refuses with a ValidationException
// that says so; nothing is ignored. It does not check signatures, reserved words,
// or throughput.
//
// Faults, scripted with Server.Fault, make calls throttled, slow, lost before or
// after their effect, or late. Counters tell how many calls were made and what
// they would have consumed.
package dynamotest
