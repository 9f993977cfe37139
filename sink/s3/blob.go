package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// blobFolder is where PutBlob, GetBlob and DeleteBlob work: outside of all tables.
const blobFolder = "_shardlake/"

// PutBlob writes a small object below "_shardlake/" with one request, in place of
// one that is there, encrypted as the store's other objects, of storage class
// STANDARD. With GetBlob and DeleteBlob it makes the Store a lease.Blobs. It needs
// s3:PutObject.
func (s *Store) PutBlob(ctx context.Context, key string, b []byte) error {
	if err := validBlobKey(key); err != nil {
		return err
	}
	in := awss3.PutObjectInput{
		Bucket:               &s.cfg.Bucket,
		Key:                  &key,
		ContentLength:        aws.Int64(int64(len(b))),
		ExpectedBucketOwner:  s.owner(),
		ServerSideEncryption: types.ServerSideEncryption(s.cfg.SSE),
	}
	if s.cfg.KMSKey != "" {
		in.SSEKMSKeyId = &s.cfg.KMSKey
		if s.cfg.SSE == "" {
			in.ServerSideEncryption = types.ServerSideEncryptionAwsKms
		}
	}
	if s.sums() {
		in.ChecksumCRC32 = aws.String(sumText(crc32.ChecksumIEEE(b)))
	}
	c := call{op: "PutObject", key: key, actions: "s3:PutObject", timeout: partTimeout(int64(len(b)))}
	return s.do(ctx, c, func(ctx context.Context, client *awss3.Client) error {
		in := in
		in.Body = bytes.NewReader(b)
		_, err := client.PutObject(ctx, &in)
		return err
	})
}

// GetBlob reads what PutBlob wrote. The error is fs.ErrNotExist if there is nothing.
// It needs s3:GetObject and, so that the service says so, s3:ListBucket.
func (s *Store) GetBlob(ctx context.Context, key string) ([]byte, error) {
	if err := validBlobKey(key); err != nil {
		return nil, err
	}
	in := &awss3.GetObjectInput{Bucket: &s.cfg.Bucket, Key: &key, ExpectedBucketOwner: s.owner()}
	c := call{op: "GetObject", key: key, actions: "s3:GetObject and s3:ListBucket", timeout: completeTimeout}
	var content []byte
	found := false
	err := s.do(ctx, c, func(ctx context.Context, client *awss3.Client) error {
		out, err := client.GetObject(ctx, in)
		if codeOf(err) == "NoSuchKey" {
			return nil
		}
		if err != nil {
			return err
		}
		b, err := io.ReadAll(out.Body)
		if err := errors.Join(err, out.Body.Close()); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if n := aws.ToInt64(out.ContentLength); int64(len(b)) != n {
			return fmt.Errorf("the answer has %d bytes instead of %d", len(b), n)
		}
		content, found = b, true
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("s3: object %s in bucket %s: %w", key, s.cfg.Bucket, fs.ErrNotExist)
	}
	return content, err
}

// DeleteBlob removes what PutBlob wrote; nothing is no error. It needs
// s3:DeleteObject. In a bucket with versions the older ones stay until a lifecycle
// rule removes them.
func (s *Store) DeleteBlob(ctx context.Context, key string) error {
	if err := validBlobKey(key); err != nil {
		return err
	}
	in := &awss3.DeleteObjectInput{Bucket: &s.cfg.Bucket, Key: &key, ExpectedBucketOwner: s.owner()}
	c := call{op: "DeleteObject", key: key, actions: "s3:DeleteObject", timeout: callTimeout}
	return s.do(ctx, c, func(ctx context.Context, client *awss3.Client) error {
		_, err := client.DeleteObject(ctx, in)
		if codeOf(err) == "NoSuchKey" { // as some compatible stores answer
			return nil
		}
		return err
	})
}

func validBlobKey(key string) error {
	if err := validKey(key); err != nil {
		return err
	}
	if !strings.HasPrefix(key, blobFolder) {
		return refusedf("the key %q does not lie below %s", key, blobFolder)
	}
	return nil
}
