package round

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/benchmarks/intake/canned"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/parquet"
)

const (
	atOnce = 64  // records that are decoded at once, as a lane does
	batch  = 256 // rows that the encoder gets at once
)

// Shard is the work of one shard where a loop by hand or a library reads it: the
// same functions, decoder and Parquet writer as in the pipeline, called directly.
type Shard struct {
	ID      string
	work    string
	need    int64 // records of the shard
	decoder codec.Decoder[canned.Click]
	rows    []canned.Click
	out     []View
	file    *os.File
	enc     sink.Encoder[View]
	turn    []shardlake.Record // for the records of other types

	Outcome
}

// open makes the work of a shard.
func (j *Job) open(id string) (s *Shard, err error) {
	s = &Shard{ID: id, work: j.Work, need: int64(j.Of.PerShard()), rows: make([]canned.Click, atOnce), turn: make([]shardlake.Record, 0, atOnce)}
	if s.decoder, err = codec.JSON[canned.Click](); err != nil || j.Work != ToParquet {
		return s, err
	}
	format, err := parquet.Format[View]()
	if err != nil {
		return nil, err
	}
	if s.file, err = os.Create(filepath.Join(j.Folder, id+".parquet")); err != nil {
		return nil, err
	}
	if s.enc, err = format.NewEncoder(plainFile{s.file}, sink.FileInfo{}); err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	s.out = make([]View, 0, batch)
	return s, nil
}

// plainFile is a file as an encoder wants it. Parquet never patches its head.
type plainFile struct{ *os.File }

// HoldHead has nothing to hold.
func (plainFile) HoldHead() {}

// PatchHead is not called.
func (plainFile) PatchHead(int, []byte) error { return errors.New("no head is held") }

// Done tells whether the shard has given all.
func (s *Shard) Done() bool { return s.Records >= s.need }

// Take does the work for records.
func (s *Shard) Take(ctx context.Context, recs []shardlake.Record) error {
	for i := range recs {
		s.Bytes += int64(len(recs[i].Data))
	}
	s.Records += int64(len(recs))
	for s.work != ToRecords && len(recs) > 0 {
		n := min(atOnce, len(recs))
		if k, err := s.decoder.Decode(ctx, recs[:n], s.rows[:n]); err != nil {
			return fmt.Errorf("record %d of %d: %w", k, n, err)
		}
		s.Rows += int64(n)
		if s.work == ToParquet {
			if err := s.encode(s.rows[:n]); err != nil {
				return err
			}
		}
		recs = recs[n:]
	}
	return nil
}

func (s *Shard) encode(rows []canned.Click) error {
	for i := range rows {
		if !Wanted(rows[i]) {
			continue
		}
		if s.out = append(s.out, Tens(ToView(rows[i]))); len(s.out) < batch {
			continue
		}
		if err := s.enc.Encode(s.out); err != nil {
			return err
		}
		s.out = s.out[:0]
	}
	return nil
}

// One takes the payload of one record that a library hands over.
func (s *Shard) One(ctx context.Context, data []byte) error {
	s.turn = append(s.turn[:0], shardlake.Record{Data: data})
	return s.Take(ctx, s.turn)
}

// All takes the payloads of an answer that the SDK read.
func (s *Shard) All(ctx context.Context, n int, data func(i int) []byte) error {
	for i := 0; i < n; {
		s.turn = s.turn[:0]
		for ; i < n && len(s.turn) < atOnce; i++ {
			s.turn = append(s.turn, shardlake.Record{Data: data(i)})
		}
		if err := s.Take(ctx, s.turn); err != nil {
			return err
		}
	}
	return nil
}

// close ends the file, which is on the disk then.
func (s *Shard) close() error {
	if s.enc == nil {
		return nil
	}
	defer s.enc.Abandon()
	err := s.enc.Encode(s.out)
	if err == nil {
		err = s.enc.Close(sink.FileInfo{})
	}
	if err == nil {
		err = s.file.Sync()
	}
	return errors.Join(err, s.file.Close())
}

func (s *Shard) addTo(out *Outcome) {
	out.Records += s.Records
	out.Bytes += s.Bytes
	out.Rows += s.Rows
}
