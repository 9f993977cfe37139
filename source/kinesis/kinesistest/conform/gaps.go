package conform

// LocalGaps are those of kinesis-local 0.6.2 (the npm package of kinesis-mock), found
// by running the suite.
func LocalGaps() []Gap {
	const silent = "sends no initial-response, for which the SDK for Go waits"
	gaps := []Gap{
		{"stream-no-shards", "answers LimitExceededException"},
		{"put-explicit-hash", "hash ranges of two shards are one off"},
		{"put-bad-hash", "answers a hash key that is no number with status 500"},
		{"put-too-many", "takes any number of records"},
		{"put-all-or-none-is-valid", "answers a hash key that is no number with status 500"},
		{"put-ordering", "answers a SequenceNumberForOrdering that is no number with status 500"},
		{"iterator-future-timestamp", "takes a timestamp in the future"},
		{"iterator-bad-sequence", "takes any number"},
		{"iterator-foreign-sequence", "takes a number of another shard"},
		{"iterator-bad-type", "answers SerializationException"},
		{"get-bad-iterator", "answers with status 500"},
		{"get-behind", "MillisBehindLatest is 0 while records are left"},
		{"list-filter-trim-horizon", "AT_TRIM_HORIZON selects the children too"},
		{"reshard-bad-split", "splits a shard at its first hash key"},
		{"reshard-ending-number", "EndingSequenceNumber is the largest integer of 64 bits"},
		{"reshard-count", "hash ranges of four shards are one off"},
		{"consumer-pages", "gives the first page only, without a NextToken"},
	}
	for _, c := range subscribeCases() {
		gaps = append(gaps, Gap{c.Name, silent})
	}
	return gaps
}

// FerroGaps are those of ferrokinesis 0.7.0, found by running the suite.
func FerroGaps() []Gap {
	const noFilter = "does not look at ShardFilter"
	return []Gap{
		{"stream-on-demand", "wants a ShardCount of on-demand streams"},
		{"stream-pages-of-shards", "gives all shards in one page"},
		{"stream-by-arn", "wants a StreamName"},
		{"setting-record-size", "keeps no MaxRecordSizeInKiB"},
		{"put-bad-hash", "takes a hash key with a leading zero"},
		{"put-long-key", "counts the bytes of a partition key"},
		{"iterator-timestamp", "arrival times are whole seconds"},
		{"get-behind", "MillisBehindLatest is always 0"},
		{"get-milliseconds", "arrival times are whole seconds"},
		{"list-pages", "wants a StreamName with a NextToken"},
		{"list-bad-token", "wants a StreamName with a NextToken"},
		{"list-filter-latest", noFilter},
		{"list-filter-trim-horizon", noFilter},
		{"list-filter-after", noFilter},
		{"list-filter-time", noFilter},
		{"list-bad-filter", noFilter},
		{"reshard-bad-split", "splits a closed shard"},
		{"reshard-children-of-split", "GetRecords gives no ChildShards"},
		{"reshard-child-of-merge", "GetRecords gives no ChildShards"},
		{"reshard-bad-count", "takes more than double"},
		{"consumer-registered", "DescribeStreamConsumer gives no StreamARN"},
		{"consumer-pages", "gives a NextToken without end"},
		{"consumer-keeps-stream", "deletes a stream with consumers"},
		{"subscribe-at-sequence", "begins with the oldest record, whatever the position"},
		{"subscribe-continues", "begins with the oldest record, whatever the position"},
		{"subscribe-children", "gives a ContinuationSequenceNumber at the end of a shard"},
		{"subscribe-in-use", "takes a second subscription at once"},
		{"subscribe-takes-over", "leaves the first subscription running"},
		{"subscribe-bad-sequence", "takes any number"},
	}
}
