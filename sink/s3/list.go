package s3

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/shardlake/shardlake/sink"
)

// errNoProgress ends a listing whose pages repeat themselves.
var errNoProgress = errors.New("the listing is cut but does not say where it goes on")

// Parts lists the stored parts. Parts that came without a checksum have CRC 0.
func (s *Store) Parts(ctx context.Context, key, upload string) ([]sink.Part, error) {
	if err := validKey(key); err != nil {
		return nil, err
	}
	parts, _, err := s.listParts(ctx, key, upload)
	return parts, err
}

// listParts also tells whether the upload was created with CRC32 checksums, by
// whatever configuration.
func (s *Store) listParts(ctx context.Context, key, upload string) (parts []sink.Part, sums bool, err error) {
	in := &awss3.ListPartsInput{Bucket: &s.cfg.Bucket, Key: &key, UploadId: &upload, ExpectedBucketOwner: s.owner()}
	c := call{op: "ListParts", key: key, actions: "s3:ListMultipartUploadParts", timeout: callTimeout}
	for {
		var out *awss3.ListPartsOutput
		err := s.do(ctx, c, func(ctx context.Context, client *awss3.Client) (err error) {
			if out, err = client.ListParts(ctx, in); err != nil {
				return err
			}
			if aws.ToBool(out.IsTruncated) && aws.ToString(out.NextPartNumberMarker) == aws.ToString(in.PartNumberMarker) {
				return errNoProgress
			}
			return nil
		})
		if err != nil {
			return nil, false, err
		}
		sums = sums || out.ChecksumAlgorithm == types.ChecksumAlgorithmCrc32
		for _, p := range out.Parts {
			part := sink.Part{N: int(aws.ToInt32(p.PartNumber)), ETag: aws.ToString(p.ETag), Size: aws.ToInt64(p.Size)}
			if b, err := base64.StdEncoding.DecodeString(aws.ToString(p.ChecksumCRC32)); err == nil && len(b) == 4 {
				part.CRC = binary.BigEndian.Uint32(b)
			}
			parts = append(parts, part)
		}
		if !aws.ToBool(out.IsTruncated) {
			return sortParts(parts), sums, nil
		}
		in.PartNumberMarker = out.NextPartNumberMarker
	}
}

// Uploads lists unfinished uploads, page by page as the loop goes on.
func (s *Store) Uploads(ctx context.Context, prefix string) iter.Seq2[sink.Upload, error] {
	return func(yield func(sink.Upload, error) bool) {
		in := &awss3.ListMultipartUploadsInput{Bucket: &s.cfg.Bucket, ExpectedBucketOwner: s.owner()}
		if prefix != "" {
			in.Prefix = &prefix
		}
		c := call{op: "ListMultipartUploads", key: prefix + "*", actions: "s3:ListBucketMultipartUploads", timeout: callTimeout}
		for {
			var out *awss3.ListMultipartUploadsOutput
			err := s.do(ctx, c, func(ctx context.Context, client *awss3.Client) (err error) {
				if out, err = client.ListMultipartUploads(ctx, in); err != nil {
					return err
				}
				if aws.ToBool(out.IsTruncated) && aws.ToString(out.NextKeyMarker) == aws.ToString(in.KeyMarker) &&
					aws.ToString(out.NextUploadIdMarker) == aws.ToString(in.UploadIdMarker) {
					return errNoProgress
				}
				return nil
			})
			if err != nil {
				yield(sink.Upload{}, err)
				return
			}
			for _, u := range out.Uploads {
				// Some stores take the prefix for a whole key or pay it no heed.
				up := sink.Upload{Key: aws.ToString(u.Key), ID: aws.ToString(u.UploadId), Begun: aws.ToTime(u.Initiated)}
				if strings.HasPrefix(up.Key, prefix) && !yield(up, nil) {
					return
				}
			}
			if !aws.ToBool(out.IsTruncated) {
				return
			}
			in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
		}
	}
}
