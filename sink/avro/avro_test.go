package avro_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/avro"
)

// memory is a FileWriter in memory, which can fail.
type memory struct {
	bytes.Buffer
	fail error
	held bool
}

func (m *memory) Write(b []byte) (int, error) {
	if m.fail != nil {
		return 0, m.fail
	}
	return m.Buffer.Write(b)
}

func (m *memory) HoldHead() { m.held = true }

func (m *memory) PatchHead(off int, b []byte) error {
	if !m.held || off+len(b) > min(m.Len(), shardlake.BufferSize) {
		return fmt.Errorf("patch of %d bytes at %d", len(b), off)
	}
	copy(m.Bytes()[off:], b)
	return nil
}

func newFormat[T any](t testing.TB, c avro.Config) sink.Format[T] {
	t.Helper()
	f, err := c.Format[T]()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// encode writes a file of rows in calls of at most batch rows.
func encode[T any](t testing.TB, f sink.Format[T], rows []T, batch int) []byte {
	t.Helper()
	var m memory
	info := sink.FileInfo{Attempt: shardlake.Attempt{Application: "app", Source: "clicks", Lane: "shardId-000000000001", Tag: "0123456789", Number: 7, Fence: 2, ID: "00112233445566aa"}}
	e, err := f.NewEncoder(&m, info)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(rows); i += batch {
		if err := e.Encode(rows[i:min(i+batch, len(rows))]); err != nil {
			t.Fatal(err)
		}
	}
	info.Rows = int64(len(rows))
	info.First, info.Last = shardlake.Position{Seq: "1"}, shardlake.Position{Seq: "99", Sub: 3}
	info.MinTime, info.MaxTime = 0, 1
	if err := e.Close(info); err != nil {
		t.Fatal(err)
	}
	e.Abandon()
	return m.Bytes()
}
