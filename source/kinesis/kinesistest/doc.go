// Package kinesistest is an Amazon Kinesis Data Streams service inside a Go
// process, for tests and for programs that demonstrate a consumer without an
// account. It speaks the service's own protocol (AWS JSON 1.1 over HTTP, and the
// event stream encoding for enhanced fan-out), so the client under test is the real
// one:
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
// Streams can be made and records put by the client, or faster by methods of the
// Server: CreateStream, Put, PutHash, Split, Merge, Records, Shards.
//
// # Without sockets
//
// A socket blocks outside of what testing/synctest can see. A server made with
// New opens none: give its Client to the SDK, and requests are function calls.
// Deadlines, slow bodies, subscriptions and cut connections behave as on a network,
// in the time of the bubble: five minutes of fan-out take milliseconds.
//
//	srv := kinesistest.New(kinesistest.Config{})
//	client := kinesis.New(kinesis.Options{
//		BaseEndpoint: aws.String(srv.URL()),
//		HTTPClient:   srv.Client(),
//		...
//	})
//
// # Operations
//
// Requests are not authenticated: any signature will do. A stream is named by
// StreamName or StreamARN. With Config.StatusDelay it is CREATING, UPDATING or
// DELETING for a time. Operations that are not in this table get
// UnknownOperationException: those of channels, and what the service learns later.
//
//	operation                               what is simulated
//	CreateStream                            modes, tags, record size, distribution strategy; warm throughput is not looked at
//	DeleteStream                            refused while there are consumers, unless EnforceConsumerDeletion
//	DescribeStream                          shards in pages
//	DescribeStreamSummary                   all members but ChannelCount
//	ListStreams                             paging by name and by token
//	DescribeLimits                          the streams that there are; limits of 20,000 shards and 50 on-demand streams
//	ListShards                              all filters; paging; tokens that expire after 300 s
//	SplitShard                              lineage, and sequence numbers that increase from parent to child
//	MergeShards                             the same
//	UpdateShardCount                        splits and merges, with short-lived shards; between half and double
//	UpdateStreamMode                        the shards stay; on-demand streams do not grow by themselves
//	UpdateStreamRecordDistributionStrategy  AUTO places records in turn, whatever their keys
//	UpdateStreamWarmThroughput              kept and shown; no shards come of it
//	UpdateMaxRecordSize                     1 to 10 MiB, enforced for puts
//	IncreaseStreamRetentionPeriod           records and closed shards expire by Config.Now
//	DecreaseStreamRetentionPeriod           the same
//	PutRecord                               MD5 and explicit hash keys; SequenceNumberForOrdering is only checked
//	PutRecords                              the same; partial failure; the order of the request is kept
//	GetShardIterator                        all five types; iterators expire after Config.IteratorTTL
//	GetRecords                              10,000 records and 10 MiB at most, MillisBehindLatest, ChildShards
//	RegisterStreamConsumer                  20 of a stream, 5 CREATING at a time; 50 with On-demand Advantage
//	DeregisterStreamConsumer                its subscriptions end at once
//	DescribeStreamConsumer                  by ARN, or by stream and name
//	ListStreamConsumers                     paging; tokens that expire after 300 s
//	SubscribeToShard                        see below
//	StartStreamEncryption                   kept and shown; KMS errors are scripted as faults
//	StopStreamEncryption                    the same
//	EnableEnhancedMonitoring                kept and shown; there are no metrics
//	DisableEnhancedMonitoring               the same
//	DescribeAccountSettings                 the billing commitment that warm throughput needs
//	UpdateAccountSettings                   the same
//	AddTagsToStream                         kept; at most 50
//	ListTagsForStream                       paging by key
//	RemoveTagsFromStream                    kept
//	TagResource                             as AddTagsToStream, also of consumers
//	ListTagsForResource                     as ListTagsForStream, in one page
//	UntagResource                           as RemoveTagsFromStream
//	PutResourcePolicy                       kept and shown, and not applied to anything
//	GetResourcePolicy                       ResourceNotFoundException if there is none, which is unverified
//	DeleteResourcePolicy                    the same
//
// With Config.Limits, the throughput of shards is that of the service, and so are
// the limits on SubscribeToShard, UpdateShardCount and UpdateStreamMode. The rates at
// which an account may call the other operations are not simulated: script a fault.
//
// # Enhanced fan-out
//
// SubscribeToShard pushes events as records come, and one without records when
// there has been none for five seconds, with a ContinuationSequenceNumber that
// advances. A subscription ends after five minutes by Config.Now; with the shard,
// whose last event has ChildShards and no ContinuationSequenceNumber; with an
// exception when its consumer or stream is removed, or when another call takes it
// over. A second call for the same consumer and shard is refused with
// ResourceInUseException for five seconds after a successful one, also if that one's
// stream has ended, and takes over after that.
//
// The server makes an event when the connection has taken the one before, so a slow
// reader costs the memory of one. The service ends the subscription of a reader that
// is too slow; this one waits for it.
//
// # Faults
//
// Server.Fault scripts what goes wrong: the third GetRecords of a shard is
// throttled, a PutRecord takes effect and its answer is lost, a body arrives in
// part, a subscription falls silent after two events. Server.Calls counts requests,
// and Config.OnEvent sees every one.
//
// # Memory
//
// Records are kept in memory once, for the stream's retention. Config.MaxBytes
// bounds them over all streams.
//
// # What else knows this service
//
// Package conform has a suite of what clients rely on, which runs against this
// server and against others, and lists where they differ.
package kinesistest
