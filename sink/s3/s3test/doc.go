// Package s3test is an Amazon S3 in the process of a test. It speaks the S3
// protocol over HTTP, so a program under test uses its real S3 client and only
// its endpoint differs:
//
//	srv := s3test.New(s3test.Config{Buckets: []string{"lake"}})
//	client := s3.New(s3.Options{
//		Region:       "us-east-1",
//		HTTPClient:   srv.Client(), // no sockets: works inside testing/synctest
//		Credentials:  s3test.AnyCredentials(),
//		UsePathStyle: true,
//	})
//
// As everywhere, an s3.Options made by hand sends no checksums unless its
// RequestChecksumCalculation is set; one made from a loaded configuration does.
//
// [Listen] serves the same over a socket of 127.0.0.1 for programs in other
// processes, such as DuckDB.
//
// Writes are atomic and reads are strongly consistent, as in S3: an object
// appears whole on PutObject or CompleteMultipartUpload and never before.
// [Server.Objects] and [Server.Uploads] are snapshots of one instant, and
// [Config.OnVisible] runs between any two changes, so a test can check what a
// reader could see at every instant.
//
// # Operations
//
// ListBuckets, CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation,
// PutBucketLifecycleConfiguration, GetBucketLifecycleConfiguration,
// DeleteBucketLifecycle, PutObject, GetObject, HeadObject, DeleteObject,
// DeleteObjects, ListObjectsV2, CreateMultipartUpload, UploadPart,
// CompleteMultipartUpload, AbortMultipartUpload, ListMultipartUploads and
// ListParts, by these names in [Fault] and [Server.Count]. Everything else, also
// copies, versions, tags and access control lists, is answered 501
// NotImplemented with a text that says what was asked. Lifecycle rules are
// stored and not executed; [Server.AbortUploads] does what a rule would do.
//
// Addresses are path-style (host/bucket/key) or virtual-host style where the
// host is BUCKET.s3.test, BUCKET.localhost or an amazonaws.com name of S3.
//
// # Faults
//
// [Server.Fault] scripts what goes wrong, and when: throttling, errors, expired
// credentials, lost requests, lost answers, late effects, slow bodies.
// [Server.SetRate] limits requests per second. [Config] chooses among behaviours
// in which stores that speak S3 differ.
//
// # Limits
//
// A signature must be there and well-formed, but is not verified, since the
// server knows no secret keys. Everything is kept in memory, within
// [Config.MaxBytes]. Buckets have no versions, owners or policies.
package s3test
