package sink

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/shardlake/shardlake"
)

// Files is a sink that writes files of a format into a folder. Stream.Write
// makes one; call it for a sink of a type that no stream has.
func Files[T any](to Folder, newFormat func() (Format[T], error)) (Sink[T], error) {
	if newFormat == nil {
		return nil, errors.New("want a format, like parquet.Format")
	}
	f, err := newFormat()
	if err = errors.Join(to.check(), err); err != nil {
		return nil, err
	}
	if _, err := levels[T](to.Partitions); err != nil {
		return nil, err
	}
	if to.FileBytes == 0 {
		to.FileBytes = defaultFileBytes
	}
	if to.MaxOpen == 0 {
		to.MaxOpen = defaultMaxOpen
	}
	return &files[T]{Publish(to.Store).(*publisher), to, f}, nil
}

type files[T any] struct {
	*publisher
	folder Folder
	format Format[T]
}

// Place tells apart what must not be mixed: Run refuses two streams in one.
func (f *files[T]) Place() string {
	return f.folder.Store.Kind() + ":" + f.folder.Store.Location() + "/" + f.folder.Prefix
}

// Sweep aborts dead uploads in the folder.
func (f *files[T]) Sweep(ctx context.Context, prefix string, dead func(string) bool) (n int, err error) {
	under := f.folder.Prefix
	if under != "" {
		under += "/"
	}
	for up, err := range f.folder.Store.Uploads(ctx, under) {
		if err != nil {
			return n, err
		}
		name := path.Base(up.Key)
		if len(name) <= len(prefix) || name[:len(prefix)] != prefix || !dead(name) {
			continue
		}
		if err := f.folder.Store.Abort(ctx, up.Key, up.ID); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// Open opens a lane's writer.
func (f *files[T]) Open(env *shardlake.Env) (Writer[T], error) {
	ls, err := levels[T](f.folder.Partitions)
	if err != nil {
		return nil, err
	}
	return &fileWriter[T]{files: f, env: env, levels: ls, open: map[string]*file[T]{}}, nil
}

// fileWriter is one lane's files: the open ones by partition, and those that are
// closed and on their way.
type fileWriter[T any] struct {
	*files[T]
	env    *shardlake.Env
	levels []level
	open   map[string]*file[T]
	order  []*file[T] // the open ones by age: what is sealed has an order
	closed []*file[T]
	warned bool
}

// file is one output file.
type file[T any] struct {
	path string // partition, "" or "dt=2026-01-02/country=NL"
	info FileInfo
	up   *upload
	enc  Encoder[T]
	rows []T // of the batch at hand, while rows of several files are interleaved
}

func (f *file[T]) bytes() int64 { return f.up.size + f.enc.Buffered() }

// Buffered is what the encoders hold.
func (w *fileWriter[T]) Buffered() (n int64) {
	for _, f := range w.order {
		n += f.enc.Buffered()
	}
	return n
}

// Write sorts rows into files. A row that the format cannot hold, or whose
// partition has no path, is a dead letter.
func (w *fileWriter[T]) Write(ctx context.Context, b shardlake.Batch[T]) error {
	return w.explain(w.write(ctx, b), b.From(0).Pos)
}

// explain says which folder an error is about, and where in the shard.
func (w *fileWriter[T]) explain(err error, pos shardlake.Position) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*shardlake.Error](err); ok {
		return err
	}
	return w.env.Fail("write "+w.folder.Prefix, pos, err, "nothing of this commit is visible, and its records come again")
}

func (w *fileWriter[T]) write(ctx context.Context, b shardlake.Batch[T]) error {
	n := 0
	for i := range b.Rows {
		if err := w.format.Check(&b.Rows[i]); err != nil {
			if err := w.reject(ctx, b, i, err); err != nil {
				return err
			}
			continue
		}
		if n != i {
			b.Rows[n], b.Origins[n] = b.Rows[i], b.Origins[i]
		}
		n++
	}
	if n == 0 {
		return nil
	}
	b = b.Cut(0, n)
	if len(w.levels) > 0 {
		return w.spread(ctx, b)
	}
	f, err := w.file(ctx, "")
	if err != nil {
		return err
	}
	f.note(b)
	return w.encode(f, b.Rows)
}

func (w *fileWriter[T]) reject(ctx context.Context, b shardlake.Batch[T], i int, err error) error {
	return w.env.Settle(ctx, "write "+w.folder.Prefix, b.From(i), shardlake.Reject(err))
}

// spread writes a batch whose rows belong to several partitions.
func (w *fileWriter[T]) spread(ctx context.Context, b shardlake.Batch[T]) error {
	var touched []*file[T]
	for i := range b.Rows {
		dir, err := w.partition(&b.Rows[i], b.Origins[i].Time)
		if err != nil {
			if err := w.reject(ctx, b, i, err); err != nil {
				return err
			}
			continue
		}
		f := w.open[dir]
		if f == nil {
			// A file may have to be closed to make room: it must have its rows first.
			if err := w.flush(touched); err != nil {
				return err
			}
			touched = touched[:0]
			if f, err = w.file(ctx, dir); err != nil {
				return err
			}
		}
		if len(f.rows) == 0 {
			touched = append(touched, f)
		}
		f.rows = append(f.rows, b.Rows[i])
		f.note(b.Cut(i, i+1))
	}
	return w.flush(touched)
}

func (w *fileWriter[T]) flush(touched []*file[T]) error {
	for _, f := range touched {
		err := w.encode(f, f.rows)
		clear(f.rows)
		f.rows = f.rows[:0]
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *fileWriter[T]) partition(row *T, at shardlake.Instant) (string, error) {
	dir := ""
	for i := range w.levels {
		elem, err := w.levels[i].of(row, at)
		if err != nil {
			return "", err
		}
		dir = path.Join(dir, elem)
	}
	return dir, nil
}

// note keeps count of what a file holds.
func (f *file[T]) note(b shardlake.Batch[T]) {
	low, high := b.Origins[0].Record, b.Origins[0].Record
	for _, o := range b.Origins {
		low, high = min(low, o.Record), max(high, o.Record)
		f.info.MinTime, f.info.MaxTime = min(f.info.MinTime, o.Time), max(f.info.MaxTime, o.Time)
	}
	if p := b.Records[low].Pos; f.info.Rows == 0 || p.Compare(f.info.First) < 0 {
		f.info.First = p
	}
	if p := b.Records[high].Pos; p.Compare(f.info.Last) > 0 {
		f.info.Last = p
	}
	f.info.Rows += int64(len(b.Rows))
}

func (w *fileWriter[T]) encode(f *file[T], rows []T) error {
	if err := f.enc.Encode(rows); err != nil {
		return fmt.Errorf("encode rows for %s: %w", f.up.key, err)
	}
	if f.bytes() >= w.folder.FileBytes {
		return w.roll(f)
	}
	return nil
}

// file returns the open file of a partition, after making it if needed.
func (w *fileWriter[T]) file(ctx context.Context, dir string) (*file[T], error) {
	if f := w.open[dir]; f != nil {
		return f, nil
	}
	if len(w.open) >= w.folder.MaxOpen {
		if err := w.makeRoom(); err != nil {
			return nil, err
		}
	}
	a := w.env.Attempt()
	info := FileInfo{Attempt: a, MinTime: shardlake.Forever, MaxTime: shardlake.Never}
	key := path.Join(w.folder.Prefix, dir, a.FileName(w.env.NextFile(), w.format.Ext()))
	if len(key) > 1024 {
		return nil, fmt.Errorf("key %.80s... has %d bytes, more than the 1,024 that S3 takes: shorten the prefix or use fewer partitions", key, len(key))
	}
	meta := map[string]string{metaCommit: a.ID, "sl-tag": a.Tag, "sl-number": itoa(a.Number), "sl-fence": itoa(a.Fence)}
	f := &file[T]{path: dir, info: info, up: newUpload(ctx, w.env, w.folder.Store, key, meta)}
	var err error
	if f.enc, err = w.format.NewEncoder(f.up, info); err != nil {
		return nil, fmt.Errorf("begin file %s: %w", key, err)
	}
	w.open[dir], w.order = f, append(w.order, f)
	return f, nil
}

// makeRoom closes the largest open file.
func (w *fileWriter[T]) makeRoom() error {
	if !w.warned {
		w.warned = true
		w.env.Log().Warn("more partitions are open than Folder.MaxOpen: files are closed early and get small", "folder", w.folder.Prefix, "max", w.folder.MaxOpen)
	}
	largest := w.order[0]
	for _, f := range w.order {
		if f.bytes() > largest.bytes() {
			largest = f
		}
	}
	return w.roll(largest)
}

// roll closes a file and begins to store what is left of it. It becomes visible
// with the next commit.
func (w *fileWriter[T]) roll(f *file[T]) error {
	delete(w.open, f.path)
	for i := range w.order {
		if w.order[i] == f {
			w.order = append(w.order[:i], w.order[i+1:]...)
			break
		}
	}
	w.closed = append(w.closed, f)
	err := f.enc.Close(f.info)
	f.enc.Abandon()
	if err == nil {
		err = f.up.finish()
	}
	if err != nil {
		return fmt.Errorf("close file %s: %w", f.up.key, err)
	}
	return nil
}

// Seal closes all files and waits until they are stored.
func (w *fileWriter[T]) Seal(ctx context.Context) ([]shardlake.Pending, error) {
	out, err := w.seal(ctx)
	return out, w.explain(err, w.env.Attempt().From)
}

func (w *fileWriter[T]) seal(ctx context.Context) ([]shardlake.Pending, error) {
	for len(w.order) > 0 {
		if err := w.roll(w.order[0]); err != nil {
			return nil, err
		}
	}
	var out []shardlake.Pending
	for _, f := range w.closed {
		up, err := f.up.wait(ctx)
		if err != nil {
			return nil, err
		}
		p, err := w.pending(f, up)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	w.closed = nil
	return out, nil
}

// Close gives up what is not sealed. Uploads are left to the sweeper: to abort
// one here, its store would have to answer while the process wants to end.
func (w *fileWriter[T]) Close() error {
	for _, f := range w.order {
		f.enc.Abandon()
	}
	w.order, w.closed, w.open = nil, nil, map[string]*file[T]{}
	return nil
}
