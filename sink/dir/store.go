package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/shardlake/shardlake/sink"
)

// PutPart writes part n, of at most PartSize bytes, at its place in the staged
// file. The ETag of the answer is empty.
func (s *Store) PutPart(ctx context.Context, key, upload string, n int, body sink.Body) (sink.Part, error) {
	if err := s.begin(ctx, key); err != nil {
		return sink.Part{}, err
	}
	if n < 1 || n > 10_000 {
		return sink.Part{}, refusedf("part number %d of %s is not within 1 to 10,000", n, key)
	}
	p := sink.Part{N: n, Size: body.Size(), CRC: body.CRC32()}
	if p.Size > PartSize {
		return sink.Part{}, refusedf("part %d of %s has %d bytes, more than %d", n, key, p.Size, PartSize)
	}
	if _, err := s.usable(key, upload); err != nil {
		return sink.Part{}, err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return sink.Part{}, fmt.Errorf("dir: part %d of %s: %w", n, key, err)
	}
	f, err := os.OpenFile(s.stage(upload+".data"), os.O_WRONLY, 0)
	if gone(err) {
		return sink.Part{}, fmt.Errorf("dir: upload %s of %s: %w", upload, key, sink.ErrNoUpload)
	} else if err != nil {
		return sink.Part{}, failed("open a staged file", err)
	}
	written, err := io.Copy(io.NewOffsetWriter(f, int64(n-1)*PartSize), &contextReader{ctx, body})
	if err == nil && written != p.Size {
		err = fmt.Errorf("its body gave %d bytes instead of %d", written, p.Size)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return sink.Part{}, failed(fmt.Sprintf("write part %d of %s", n, key), err)
	}
	err = s.note(upload, line{Part: p})
	if gone(err) {
		return sink.Part{}, fmt.Errorf("dir: upload %s of %s: %w", upload, key, sink.ErrNoUpload)
	} else if err != nil {
		return sink.Part{}, err
	}
	return p, nil
}

// contextReader ends a copy soon after its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(b []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, ended(c.ctx)
	}
	return c.r.Read(b)
}

// Prepare compares the parts with what was written, and forces the staged file
// and the staging folder to the disk. If the disk fails that, the upload is
// spoiled: no later call may use it.
func (s *Store) Prepare(ctx context.Context, key, upload string, parts []sink.Part) error {
	if err := s.begin(ctx, key); err != nil {
		return err
	}
	size, err := total(key, parts)
	if err != nil {
		return err
	}
	j, err := s.usable(key, upload)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if j.parts[p.N] != p {
			return fmt.Errorf("dir: part %d of %s was stored as %+v, not as %+v", p.N, key, j.parts[p.N], p)
		}
	}
	f, err := os.OpenFile(s.stage(upload+".data"), os.O_RDWR, 0)
	if err != nil {
		return failed("open a staged file", err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		err = failed("look up a staged file", err)
	case info.Size() < size:
		err = fmt.Errorf("dir: the staged file of %s has %d bytes instead of %d", key, info.Size(), size)
	case info.Size() > size:
		// Parts that are not listed are not part of the object.
		if err = f.Truncate(size); err != nil {
			err = failed("cut a staged file", err)
		}
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if err := s.force(f); err != nil {
		return s.spoil(upload, err)
	}
	return s.spoil(upload, s.syncFolder(s.stage("")))
}

// total checks the list of parts and returns the size of the object.
func total(key string, parts []sink.Part) (size int64, err error) {
	sorted := slices.SortedFunc(slices.Values(parts), func(a, b sink.Part) int { return a.N - b.N })
	for i, p := range sorted {
		last := i == len(sorted)-1
		if p.N != i+1 || p.Size < 0 || p.Size > PartSize || !last && p.Size != PartSize || last && i > 0 && p.Size == 0 {
			return 0, refusedf("the parts of %s are not numbered from 1 without a gap and all but the last of %d bytes: %+v", key, PartSize, p)
		}
		size += p.Size
	}
	if len(parts) == 0 {
		return 0, refusedf("the upload of %s has no parts", key)
	}
	return size, nil
}

// Complete links the staged file to its final name. If a file of that size lies
// there already, it is that of an earlier Complete which was cut short, because
// the key of a lake's file carries a random commit id.
func (s *Store) Complete(ctx context.Context, key, upload string, parts []sink.Part) error {
	if err := s.begin(ctx, key); err != nil {
		return err
	}
	size, err := total(key, parts)
	if err != nil {
		return err
	}
	if _, err := s.usable(key, upload); err != nil {
		return err
	}
	target, err := s.path(key)
	if err != nil {
		return err
	}
	data := s.stage(upload + ".data")
	info, err := os.Stat(data)
	if gone(err) {
		return fmt.Errorf("dir: upload %s of %s: %w", upload, key, sink.ErrNoUpload)
	} else if err != nil {
		return failed("look up a staged file", err)
	}
	if info.Size() != size {
		return fmt.Errorf("dir: the staged file of %s has %d bytes instead of %d: it was not prepared", key, info.Size(), size)
	}
	if err := s.linkWhole(key, data, target); err != nil {
		if _, serr := os.Stat(data); gone(serr) {
			return fmt.Errorf("dir: upload %s of %s: %w", upload, key, sink.ErrNoUpload)
		}
		return s.spoil(upload, err)
	}
	if other, err := os.Stat(target); err != nil {
		return failed("look up the final name", err)
	} else if !os.SameFile(info, other) && other.Size() != size {
		return refusedf("another file of %d bytes instead of %d lies at %s: find out who put it there, and move it away", other.Size(), size, target)
	}
	if err := s.syncFolder(filepath.Dir(target)); err != nil {
		return s.spoil(upload, err)
	}
	if err := s.remove(upload); err != nil {
		return err
	}
	return s.syncFolder(s.stage(""))
}

// linkWhole makes the folders and the link. The folders may vanish between the
// two, or may have vanished since the store made them: a clean-up that removes
// empty folders does that.
func (s *Store) linkWhole(key, data, target string) error {
	for try := 0; ; try++ {
		if err := s.makeFolders(path.Dir(key)); err != nil && (try > 2 || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
		err := s.link(data, target)
		switch {
		case err == nil, errors.Is(err, fs.ErrExist):
			return nil
		case try > 2, !errors.Is(err, fs.ErrNotExist):
			return s.linkFailed(err)
		}
		s.forgetFolders()
	}
}

// Abort removes both staged files.
func (s *Store) Abort(ctx context.Context, key, upload string) error {
	if err := s.begin(ctx, key); err != nil {
		return err
	}
	if _, err := s.load(key, upload); errors.Is(err, sink.ErrNoUpload) {
		return nil
	} else if err != nil {
		return err
	}
	if err := s.remove(upload); err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.spoiled, upload)
	s.mu.Unlock()
	return s.syncFolder(s.stage(""))
}

// Parts lists the parts that were written. A loss of power may shorten the list
// of an upload, also of one that was prepared and can be completed.
func (s *Store) Parts(ctx context.Context, key, upload string) ([]sink.Part, error) {
	if err := s.begin(ctx, key); err != nil {
		return nil, err
	}
	j, err := s.load(key, upload)
	if err != nil {
		return nil, err
	}
	return j.sorted(), nil
}
