// Package kinesistest is an Amazon Kinesis Data Streams service inside a Go
// process, for tests and for programs that demonstrate a consumer without an
// account. It speaks the service's own protocol (AWS JSON 1.1 over HTTP), so the
// client under test is the real one:
//
//	srv, err := kinesistest.Listen(kinesistest.Config{})
//	...
//	defer srv.Close()
//	client := kinesis.New(kinesis.Options{
//		Region:       "us-east-1",
//		BaseEndpoint: aws.String(srv.URL()),
//		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
//	})
//
// # Without sockets
//
// A socket blocks outside of what testing/synctest can see. A server made with
// New opens none: give its Client to the SDK, and requests are function calls.
// Deadlines, slow bodies and cut connections behave as on a network, in the
// time of the bubble.
//
//	srv := kinesistest.New(kinesistest.Config{})
//	client := kinesis.New(kinesis.Options{
//		BaseEndpoint: aws.String(srv.URL()),
//		HTTPClient:   srv.Client(),
//		...
//	})
//
// # What it does
//
// Streams and their shards, with the lineage that SplitShard, MergeShards and
// UpdateShardCount make; records routed by the MD5 of the partition key or by an
// explicit hash key; sequence numbers in the layout of the service, which
// increase within a shard and from parent to child; iterators that expire;
// retention; and, when asked for, the throughput limits of a shard. All of it
// follows Config.Now. Requests are not authenticated: any signature will do.
//
// Consumers of enhanced fan-out are registered, listed and removed, and
// SubscribeToShard pushes events: as records come, every five seconds without, at
// 2 MiB/s with Config.Limits, for five minutes; a second call for a shard is
// refused for five seconds and takes over after that.
//
// Encryption, resource policies and stream modes after creation are not served:
// such a request gets UnknownOperationException.
//
// # Faults
//
// Server.Fault scripts what goes wrong: the third GetRecords of a shard is
// throttled, a PutRecord takes effect and its answer is lost, a body arrives in
// part. Server.Calls counts requests, and Config.OnEvent sees every one.
//
// # Memory
//
// Records are kept in memory once, for the stream's retention. Config.MaxBytes
// bounds them over all streams.
package kinesistest
