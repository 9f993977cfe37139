package s3

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/shardlake/shardlake/sink"
)

// Create begins a multipart upload. Encryption, storage class and metadata are
// fixed here, so Complete needs none of them. If the answer is lost the call is
// repeated, which leaves an upload that Uploads lists.
func (s *Store) Create(ctx context.Context, key string, meta map[string]string) (string, error) {
	if err := errors.Join(validKey(key), validMeta(meta)); err != nil {
		return "", err
	}
	in := &awss3.CreateMultipartUploadInput{
		Bucket:               &s.cfg.Bucket,
		Key:                  &key,
		Metadata:             meta,
		ExpectedBucketOwner:  s.owner(),
		ServerSideEncryption: types.ServerSideEncryption(s.cfg.SSE),
		StorageClass:         types.StorageClass(s.cfg.StorageClass),
	}
	if s.cfg.KMSKey != "" {
		in.SSEKMSKeyId = &s.cfg.KMSKey
		if s.cfg.SSE == "" {
			in.ServerSideEncryption = types.ServerSideEncryptionAwsKms
		}
	}
	if s.sums() {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32
	}
	var id string
	c := call{op: "CreateMultipartUpload", key: key, actions: "s3:PutObject", timeout: callTimeout}
	err := s.do(ctx, c, func(ctx context.Context, client *awss3.Client) error {
		out, err := client.CreateMultipartUpload(ctx, in)
		if err != nil {
			return err
		}
		if id = aws.ToString(out.UploadId); id == "" {
			return errors.New("the answer has no upload id")
		}
		return nil
	})
	return id, err
}

// PutPart stores a part from the body's memory.
func (s *Store) PutPart(ctx context.Context, key, upload string, n int, body sink.Body) (sink.Part, error) {
	if err := validKey(key); err != nil {
		return sink.Part{}, err
	}
	p := sink.Part{N: n, Size: body.Size()}
	if n < 1 || n > maxParts || p.Size > maxPartSize {
		return sink.Part{}, refusedf("part %d of %s has %d bytes: the service takes parts 1 to %d of up to 5 GiB", n, key, p.Size, maxParts)
	}
	p.CRC = body.CRC32()
	c := call{op: "UploadPart", key: key, actions: "s3:PutObject", timeout: partTimeout(p.Size)}
	err := s.do(ctx, c, func(ctx context.Context, client *awss3.Client) error {
		etag, err := s.putPart(ctx, client, key, upload, p, body)
		p.ETag = etag
		return err
	})
	if err != nil {
		return sink.Part{}, err
	}
	return p, nil
}

// putPart is one attempt.
func (s *Store) putPart(ctx context.Context, client *awss3.Client, key, upload string, p sink.Part, body sink.Body) (string, error) {
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return "", &bodyError{err}
	}
	l := &lent{body: body}
	in := &awss3.UploadPartInput{
		Bucket:              &s.cfg.Bucket,
		Key:                 &key,
		UploadId:            &upload,
		PartNumber:          aws.Int32(int32(p.N)),
		Body:                l,
		ContentLength:       &p.Size,
		ExpectedBucketOwner: s.owner(),
	}
	if s.sums() {
		in.ChecksumCRC32 = aws.String(sumText(p.CRC))
	}
	out, err := client.UploadPart(ctx, in)
	if berr := l.end(); berr != nil {
		return "", &bodyError{berr}
	}
	if err != nil {
		return "", err
	}
	etag := aws.ToString(out.ETag)
	if etag == "" {
		return "", errors.New("the answer has no ETag")
	}
	if sum := aws.ToString(out.ChecksumCRC32); sum != "" && sum != sumText(p.CRC) {
		return "", fmt.Errorf("the service stored checksum %s instead of %s", sum, sumText(p.CRC))
	}
	return etag, nil
}

// Prepare does no I/O: the service keeps a part from the moment it has answered.
// It refuses what Complete would refuse.
func (s *Store) Prepare(ctx context.Context, key, upload string, parts []sink.Part) error {
	if s.err != nil {
		return s.err
	}
	if err := validKey(key); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return s.ended(ctx, call{op: "Prepare", key: key}, nil)
	}
	return s.checkParts(key, parts)
}

func (s *Store) checkParts(key string, parts []sink.Part) error {
	sorted := sortParts(parts)
	for i, p := range sorted {
		switch {
		case p.N != i+1 || p.N > maxParts:
			return refusedf("the parts of %s are not numbered from 1 without a gap, to %d at most: part %d comes as number %d", key, maxParts, p.N, i+1)
		case p.ETag == "":
			return refusedf("part %d of %s has no ETag: it was not stored", p.N, key)
		case i < len(sorted)-1 && p.Size < s.minPart:
			return refusedf("part %d of %s has %d bytes: all but the last have %d at least", p.N, key, p.Size, s.minPart)
		}
	}
	if len(parts) == 0 {
		return refusedf("the upload of %s has no parts", key)
	}
	return nil
}

// Complete makes the object appear. If the service does not know the parts by the
// ETags given, as after an UploadPart whose answer was lost and which was repeated
// under SSE-KMS, it lists them and completes by what is there, provided that sizes
// and checksums are those given.
func (s *Store) Complete(ctx context.Context, key, upload string, parts []sink.Part) error {
	if err := validKey(key); err != nil {
		return err
	}
	if err := s.checkParts(key, parts); err != nil {
		return err
	}
	parts = sortParts(parts)
	err := s.complete(ctx, key, upload, parts, s.sums())
	switch codeOf(err) {
	case "InvalidPart", "InvalidRequest", "InvalidArgument", "BadDigest", "MalformedXML":
	default:
		return err
	}
	listed, sums, lerr := s.listParts(ctx, key, upload)
	if lerr != nil {
		return fmt.Errorf("%w; after %w", lerr, err)
	}
	known := make(map[int]sink.Part, len(listed))
	for _, p := range listed {
		known[p.N] = p
	}
	for i, p := range parts {
		got, ok := known[p.N]
		if !ok || got.Size != p.Size || sums && got.CRC != p.CRC {
			return fmt.Errorf("%w; part %d is stored as %+v, not as %+v", err, p.N, got, p)
		}
		parts[i].ETag = got.ETag
	}
	return s.complete(ctx, key, upload, parts, sums)
}

func (s *Store) complete(ctx context.Context, key, upload string, parts []sink.Part, sums bool) error {
	done := make([]types.CompletedPart, len(parts))
	var size int64
	for i, p := range parts {
		size += p.Size
		done[i] = types.CompletedPart{PartNumber: aws.Int32(int32(p.N)), ETag: &parts[i].ETag}
		if sums {
			done[i].ChecksumCRC32 = aws.String(sumText(p.CRC))
		}
	}
	in := &awss3.CompleteMultipartUploadInput{
		Bucket:              &s.cfg.Bucket,
		Key:                 &key,
		UploadId:            &upload,
		ExpectedBucketOwner: s.owner(),
		MpuObjectSize:       &size,
		MultipartUpload:     &types.CompletedMultipartUpload{Parts: done},
	}
	c := call{op: "CompleteMultipartUpload", key: key, actions: "s3:PutObject", timeout: completeTimeout}
	return s.do(ctx, c, func(ctx context.Context, client *awss3.Client) error {
		out, err := client.CompleteMultipartUpload(ctx, in)
		if err != nil {
			return err
		}
		// The status is sent before the work is done. An empty body, which the SDK
		// takes for success, is an answer that was cut.
		if aws.ToString(out.ETag) == "" {
			return errors.New("the answer of status 200 does not say that the object was made")
		}
		return nil
	})
}

// Abort removes an unfinished upload. A part that is still on its way while the
// service aborts may stay; the next sweep finds it.
func (s *Store) Abort(ctx context.Context, key, upload string) error {
	if err := validKey(key); err != nil {
		return err
	}
	in := &awss3.AbortMultipartUploadInput{Bucket: &s.cfg.Bucket, Key: &key, UploadId: &upload, ExpectedBucketOwner: s.owner()}
	c := call{op: "AbortMultipartUpload", key: key, actions: "s3:AbortMultipartUpload", timeout: callTimeout}
	err := s.do(ctx, c, func(ctx context.Context, client *awss3.Client) error {
		_, err := client.AbortMultipartUpload(ctx, in)
		return err
	})
	if errors.Is(err, sink.ErrNoUpload) {
		return nil
	}
	return err
}

// Head describes an object. Metadata keys are in lower case, without x-amz-meta-.
func (s *Store) Head(ctx context.Context, key string) (sink.Object, error) {
	if err := validKey(key); err != nil {
		return sink.Object{}, err
	}
	in := &awss3.HeadObjectInput{Bucket: &s.cfg.Bucket, Key: &key, ExpectedBucketOwner: s.owner()}
	c := call{op: "HeadObject", key: key, actions: "s3:GetObject and s3:ListBucket", timeout: callTimeout}
	var o sink.Object
	err := s.do(ctx, c, func(ctx context.Context, client *awss3.Client) error {
		out, err := client.HeadObject(ctx, in)
		if err != nil {
			return err
		}
		o = sink.Object{Size: aws.ToInt64(out.ContentLength), Meta: make(map[string]string, len(out.Metadata))}
		for k, v := range out.Metadata {
			o.Meta[strings.ToLower(k)] = v
		}
		return nil
	})
	return o, err
}

// Delete removes an object; in a bucket with versions, its latest one.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := validKey(key); err != nil {
		return err
	}
	in := &awss3.DeleteObjectInput{Bucket: &s.cfg.Bucket, Key: &key, ExpectedBucketOwner: s.owner()}
	c := call{op: "DeleteObject", key: key, actions: "s3:DeleteObject", timeout: callTimeout}
	err := s.do(ctx, c, func(ctx context.Context, client *awss3.Client) error {
		_, err := client.DeleteObject(ctx, in)
		return err
	})
	if errors.Is(err, sink.ErrNoObject) {
		return nil
	}
	return err
}

func (s *Store) sums() bool { return s.cfg.Checksums == ChecksumCRC32 }

func (s *Store) owner() *string {
	if s.cfg.ExpectedBucketOwner == "" {
		return nil
	}
	return &s.cfg.ExpectedBucketOwner
}

// sumText is a checksum as the headers carry it: base64 of 4 bytes, big end first.
func sumText(sum uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

func sortParts(parts []sink.Part) []sink.Part {
	return slices.SortedFunc(slices.Values(parts), func(a, b sink.Part) int { return cmp.Compare(a.N, b.N) })
}

// validKey refuses keys that readers or HTTP would read differently. Amazon S3
// itself takes more (user guide, "Naming Amazon S3 objects").
func validKey(key string) error {
	switch {
	case key == "":
		return refusedf("the key is empty")
	case len(key) > maxKey:
		return refusedf("the key %.60q... has %d bytes, more than %d: choose a shorter prefix or partition value", key, len(key), maxKey)
	case !utf8.ValidString(key):
		return refusedf("the key %q is not UTF-8", key)
	case strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffe || r == 0xffff }):
		return refusedf("the key %q contains a control character, which listings in XML cannot show", key)
	}
	for name := range strings.SplitSeq(key, "/") {
		if name == "" || name == "." || name == ".." {
			return refusedf("the key %q has the segment %q", key, name)
		}
	}
	return nil
}

func validMeta(meta map[string]string) error {
	size := 0
	for k, v := range meta {
		size += len(k) + len(v)
		if k == "" || strings.ContainsFunc(k+v, func(r rune) bool { return r < ' ' || r > '~' }) || k != strings.ToLower(k) || strings.ContainsAny(k, " :") {
			return refusedf("the metadata %q=%q is not of plain ASCII with a key in lower case", k, v)
		}
	}
	if size > maxMeta {
		return refusedf("the metadata has %d bytes, more than %d", size, maxMeta)
	}
	return nil
}

// refusedf makes an error that wraps sink.ErrRefused.
func refusedf(format string, args ...any) error {
	return fmt.Errorf("s3: %w: %w", sink.ErrRefused, fmt.Errorf(format, args...))
}
