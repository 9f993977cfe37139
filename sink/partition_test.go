package sink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/sinktest"
)

type row struct {
	Value *string
	N     int
}

// text is a format of one line a row.
func text[T any]() (sink.Format[T], error) { return textFormat[T]{}, nil }

type textFormat[T any] struct{}

func (textFormat[T]) Ext() string { return "txt" }
func (textFormat[T]) Check(r *T) error {
	if x, ok := any(*r).(row); ok && x.N < 0 {
		return errors.New("n is negative")
	}
	return nil
}
func (textFormat[T]) NewEncoder(w sink.FileWriter, i sink.FileInfo) (sink.Encoder[T], error) {
	if i.ID == "hold" {
		w.HoldHead()
		if _, err := w.Write([]byte("????")); err != nil {
			return nil, err
		}
	}
	return &textEncoder[T]{w: w, hold: i.ID == "hold"}, nil
}

type textEncoder[T any] struct {
	w      sink.FileWriter
	hold   bool
	closed bool
}

func (e *textEncoder[T]) Encode(rows []T) error {
	for i := range rows {
		if _, err := fmt.Fprintf(e.w, "%+v\n", rows[i]); err != nil {
			return err
		}
	}
	return nil
}
func (e *textEncoder[T]) Buffered() int64 { return 0 }
func (e *textEncoder[T]) Abandon()        {}
func (e *textEncoder[T]) Close(i sink.FileInfo) error {
	if e.closed {
		return errors.New("closed twice")
	}
	e.closed = true
	if e.hold {
		return e.w.PatchHead(0, fmt.Appendf(nil, "%04d", i.Rows))
	}
	return nil
}

// lane is a lane's environment and what went to the dead letters.
type lane struct {
	env  *shardlake.Env
	dead []shardlake.DeadLetter
	id   string
}

func newLane(t *testing.T) *lane {
	l := &lane{id: "0123456789abcdef"}
	l.env = shardlake.NewEnv(t.Context(), shardlake.Host{Source: "clicks", Lane: "shardId-000000000007",
		Attempt: func() shardlake.Attempt {
			return shardlake.Attempt{Source: "clicks", Lane: "shardId-000000000007", Tag: "aaaaaaaaaa", Number: 3, Fence: 2, ID: l.id}
		},
		Dead: func(_ context.Context, _ *shardlake.Record, d shardlake.DeadLetter) error {
			l.dead = append(l.dead, d)
			return nil
		}})
	t.Cleanup(l.env.Close)
	return l
}

// batch makes a batch of rows that all happened at one time.
func batch[T any](at time.Time, rows ...T) shardlake.Batch[T] {
	b := shardlake.Batch[T]{Rows: slices.Clone(rows)}
	for i := range rows {
		b.Records = append(b.Records, shardlake.Record{Pos: shardlake.Position{Seq: fmt.Sprint(100 + i)}, Data: []byte("raw")})
		b.Origins = append(b.Origins, shardlake.Origin{Time: shardlake.At(at), Record: int32(i)})
	}
	return b
}

// write writes batches as one commit and returns the visible files.
func write[T any](t *testing.T, l *lane, store *sinktest.Memory, to sink.Folder, format func() (sink.Format[T], error), batches ...shardlake.Batch[T]) map[string][]byte {
	t.Helper()
	s, err := sink.Files(to, format)
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Open(l.env)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		if err := w.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	pending, err := w.Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(store.Objects()); n != 0 {
		t.Fatalf("%d files are visible before they are published", n)
	}
	for _, p := range pending {
		for range 2 { // again, as the next owner of the lane may
			if err := s.Publish(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return store.Objects()
}

// Every value is one path element under its folder, readers decode it to the
// value, and no two values share a path (cases F2, and bad input of paths).
func TestPartitionValues(t *testing.T) {
	values := []string{"plain", "a/b", "a=b", "100%", "a b", "a:b", "ü", "..", ".", ".hidden", "_x", "../../etc/passwd", "%2e%2e", "a\x00b", "a\nb",
		"\u202Eevil", "a\\b", `"q"`, "{x}", "[y]", "a?b*c#d^e", "__HIVE_DEFAULT_PARTITION__", "%5F_HIVE_DEFAULT_PARTITION__", "日本", strings.Repeat("v", 200)}
	l, store := newLane(t), &sinktest.Memory{}
	var rows []row
	for i := range values {
		rows = append(rows, row{&values[i], i})
	}
	empty := ""
	rows = append(rows, row{&empty, 1000}, row{nil, 1001})
	to := store.Folder("lake/t").By(sink.Field("value"))
	to.MaxOpen = 100
	got := write(t, l, store, to, text[row], batch(time.Unix(0, 0), rows...))
	if len(got) != len(values)+1 || len(l.dead) != 0 {
		t.Errorf("%d files, want %d: null and empty share one, all others have their own; dead letters %v", len(got), len(values)+1, l.dead)
	}
	seen := map[string]bool{}
	for key := range got {
		rest, ok := strings.CutPrefix(key, "lake/t/value=")
		elem, name, ok2 := strings.Cut(rest, "/")
		if !ok || !ok2 || strings.Contains(name, "/") || path.Clean(key) != key || len("value="+elem) > 255 {
			t.Errorf("%q is not one path element under its folder", key)
		}
		if strings.ContainsFunc(elem, func(r rune) bool { return r < ' ' || r == '\u202E' || r == '\\' }) {
			t.Errorf("%q shows what it should hide", key)
		}
		if elem == "__HIVE_DEFAULT_PARTITION__" {
			continue
		}
		value, err := url.PathUnescape(elem)
		if err != nil || !slices.Contains(values, value) || seen[value] {
			t.Errorf("%q decodes to %q (%v)", elem, value, err)
		}
		seen[value] = true
	}
}

// A value of 2 KB has no path: its row is a dead letter, and its neighbours are not.
func TestPartitionValueTooLong(t *testing.T) {
	l, store := newLane(t), &sinktest.Memory{}
	long, ok := strings.Repeat("x", 2048), "ok"
	got := write(t, l, store, store.Folder("t").By(sink.Field("value")), text[row], batch(time.Unix(0, 0), row{&ok, 1}, row{&long, 2}, row{&ok, 3}))
	if len(got) != 1 || len(l.dead) != 1 || l.dead[0].Seq != "101" || !strings.Contains(l.dead[0].Reason, "2048 bytes") || l.dead[0].Stage != "write t" || string(l.dead[0].Data) != "raw" {
		t.Errorf("%d files, %+v", len(got), l.dead)
	}
}

// Times in partitions are event times in UTC, over the whole range that a lane takes.
func TestPartitionTimes(t *testing.T) {
	l, store := newLane(t), &sinktest.Memory{}
	n := 1
	var in []shardlake.Batch[row]
	for _, at := range []string{"0000-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "2026-06-01T01:30:00+02:00", "9999-12-31T23:59:59Z"} {
		tm, err := time.Parse(time.RFC3339Nano, at)
		if err != nil {
			t.Fatal(err)
		}
		in, n = append(in, batch(tm, row{nil, n})), n+1
	}
	var got []string
	for key := range write(t, l, store, store.Folder("t").By(sink.Day("dt"), sink.Hour("hour"), sink.Time("m", "200601")), text[row], in...) {
		got = append(got, path.Dir(key))
	}
	slices.Sort(got)
	want := []string{"t/dt=0000-01-01/hour=00/m=000001", "t/dt=1969-12-31/hour=23/m=196912", "t/dt=1970-01-01/hour=00/m=197001", "t/dt=2026-05-31/hour=23/m=202605", "t/dt=9999-12-31/hour=23/m=999912"}
	if !slices.Equal(got, want) {
		t.Errorf("\ngot  %q\nwant %q", got, want)
	}
}

// A row that its format cannot hold is a dead letter, and the others keep their
// order.
func TestRowsThatDoNotFit(t *testing.T) {
	l, store := newLane(t), &sinktest.Memory{}
	got := write(t, l, store, store.Folder("t"), text[row], batch(time.Unix(0, 0), row{nil, 1}, row{nil, -2}, row{nil, 3}))
	for _, body := range got {
		if string(body) != "{Value:<nil> N:1}\n{Value:<nil> N:3}\n" {
			t.Errorf("%s", body)
		}
	}
	if len(l.dead) != 1 || l.dead[0].Reason != "n is negative" {
		t.Error(l.dead)
	}
}

// Files roll by size, all of them belong to the commit, and no row is lost.
func TestRollBySize(t *testing.T) {
	l, store := newLane(t), &sinktest.Memory{Part: 128}
	to := store.Folder("t")
	to.FileBytes = 1000
	var in []shardlake.Batch[row]
	for i := range 200 {
		in = append(in, batch(time.Unix(0, 0), row{nil, i}))
	}
	got := write(t, l, store, to, text[row], in...)
	lines := 0
	for _, body := range got {
		lines += bytes.Count(body, []byte("\n"))
		if len(body) > 1020 {
			t.Errorf("a file of %d bytes", len(body))
		}
	}
	if len(got) < 4 || lines != 200 {
		t.Errorf("%d files with %d rows", len(got), lines)
	}
}

// More partitions than MaxOpen: files are closed early, none of a row is lost.
func TestMaxOpen(t *testing.T) {
	l, store := newLane(t), &sinktest.Memory{}
	to := store.Folder("t").By(sink.Field("n"))
	to.MaxOpen = 3
	var rows []row
	for i := range 60 {
		rows = append(rows, row{nil, i % 10})
	}
	lines := 0
	for _, body := range write(t, l, store, to, text[row], batch(time.Unix(0, 0), rows...)) {
		lines += bytes.Count(body, []byte("\n"))
	}
	if lines != 60 {
		t.Errorf("%d rows of 60", lines)
	}
}

// The head of a file can be completed at its end, also when the file has many
// parts.
func TestPatchHead(t *testing.T) {
	for _, n := range []int{1, 500} {
		l, store := newLane(t), &sinktest.Memory{Part: 64}
		l.id = "hold"
		var rows []row
		for i := range n {
			rows = append(rows, row{nil, i})
		}
		for _, body := range write(t, l, store, store.Folder("t"), text[row], batch(time.Unix(0, 0), rows...)) {
			if !bytes.HasPrefix(body, fmt.Appendf(nil, "%04d{Value:<nil> N:0}\n", n)) || bytes.Count(body, []byte("\n")) != n {
				t.Errorf("%.60q... of %d bytes", body, len(body))
			}
		}
	}
}

// An object that somebody else put under the name is not taken for ours.
func TestForeignObject(t *testing.T) {
	l, store := newLane(t), &sinktest.Memory{}
	s, err := sink.Files(store.Folder("t"), text[row])
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Open(l.env)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), batch(time.Unix(0, 0), row{nil, 1})); err != nil {
		t.Fatal(err)
	}
	pending, err := w.Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var key string
	for u, err := range store.Uploads(t.Context(), "") {
		if err = errors.Join(err, store.Abort(t.Context(), u.Key, u.ID)); err != nil {
			t.Fatal(err)
		}
		key = u.Key
	}
	if err := s.Publish(t.Context(), pending[0]); !errors.Is(err, sink.ErrLostUpload) {
		t.Errorf("an aborted upload: %v", err)
	}
	id, err := store.Create(t.Context(), key, map[string]string{"sl-commit": "other"})
	if err != nil {
		t.Fatal(err)
	}
	part, err := store.PutPart(t.Context(), key, id, 1, sink.NewChunks([]byte("foreign")))
	if err = errors.Join(err, store.Prepare(t.Context(), key, id, []sink.Part{part}), store.Complete(t.Context(), key, id, []sink.Part{part})); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(t.Context(), pending[0]); err == nil || errors.Is(err, sink.ErrLostUpload) || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("a foreign object: %v", err)
	}
}

// Mistakes of a folder come together.
func TestFolderMistakes(t *testing.T) {
	store := &sinktest.Memory{}
	to := sink.Folder{Store: store, Prefix: "/abs//x", FileBytes: -1}.By(sink.Day(""), sink.Field("value"), sink.Field("Value").As("VALUE"))
	_, err := sink.Files(to, text[row])
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"/abs//x", "FileBytes is -1", `partition ""`, "two partitions"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not tell of %q: %v", want, err)
		}
	}
	for _, prefix := range []string{"..", "a/../b", "_shardlake", "_shardlake/x", "a\\b"} {
		if _, err := sink.Files(store.Folder(prefix), text[row]); err == nil {
			t.Errorf("prefix %q is taken", prefix)
		}
	}
	if _, err := sink.Files(store.Folder("t").By(sink.Field("absent")), text[row]); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Error(err)
	}
}

func ExampleFolder_By() {
	lake := &sinktest.Memory{} // or dir.Lake("lake"), or s3.Bucket(...)
	to := lake.Folder("clicks").By(sink.Day("dt"), sink.Field("country"))
	fmt.Println(to.Prefix, len(to.Partitions))
	// Output: clicks 2
}
