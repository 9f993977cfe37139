package dynamotest_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/shardlake/shardlake/pipeline/lease/dynamo/dynamotest"
)

// A client of the SDK talks to a server in its own process. The answer of its
// first write is lost, and the SDK's repetition meets its own effect.
func Example() {
	srv := dynamotest.New(dynamotest.Config{})
	if err := srv.MakeTable("locks", "name"); err != nil {
		log.Fatal(err)
	}
	client := dynamodb.New(dynamodb.Options{
		Region: "us-east-1", HTTPClient: srv.Client(), BaseEndpoint: aws.String(srv.URL()), Credentials: static{},
	})
	srv.Fault(dynamotest.Fault{Op: "PutItem", Kind: dynamotest.LostAnswer})
	_, err := client.PutItem(context.Background(), &dynamodb.PutItemInput{
		TableName:           aws.String("locks"),
		Item:                map[string]types.AttributeValue{"name": &types.AttributeValueMemberS{Value: "door"}, "owner": &types.AttributeValueMemberS{Value: "me"}},
		ConditionExpression: aws.String("attribute_not_exists(#n)"), ExpressionAttributeNames: map[string]string{"#n": "name"},
	})
	_, refused := errors.AsType[*types.ConditionalCheckFailedException](err)
	fmt.Println("refused:", refused, "- and yet the owner is", srv.Item("locks", "door")["owner"].Text)
	fmt.Println("calls:", srv.Usage("PutItem").Calls)
	// Output:
	// refused: true - and yet the owner is me
	// calls: 2
}
