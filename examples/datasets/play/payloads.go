package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/codec/avro"
	"github.com/shardlake/shardlake/codec/cloudwatch"
	"github.com/shardlake/shardlake/codec/dynamodb"
	"github.com/shardlake/shardlake/codec/registry"
	"github.com/shardlake/shardlake/examples/datasets"
	"github.com/shardlake/shardlake/pipeline"
	savro "github.com/shardlake/shardlake/sink/avro"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/source/kinesis"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
	"github.com/shardlake/shardlake/stage"
)

// payloads is the name of the set that is no lines of one kind, but a folder of
// records of many kinds, one a file. Each codec is configured for one of them and
// reads them all: what is not of its kind must become a dead letter.
const payloads = "payloads"

// part is a row with what its record was put as.
type part[T any] struct {
	Seq   string
	Sub   int32 // of the user record, in an aggregated one
	Key   string
	Time  time.Time // of the record
	Index int32     // of the row in its record
	Row   T
}

// placed is a codec that says where a row comes from.
func placed[T any](c func() (codec.Decoder[T], error), when func(T) time.Time) func() (codec.Decoder[part[T]], error) {
	return func() (codec.Decoder[part[T]], error) {
		d, err := c()
		return &placing[T]{d, when}, err
	}
}

type placing[T any] struct {
	inner codec.Decoder[T]
	when  func(T) time.Time
}

// Decode makes rows.
func (p *placing[T]) Decode(ctx context.Context, records []shardlake.Record, rows []part[T]) (int, error) {
	in := make([]T, len(records))
	n, err := p.inner.Decode(ctx, records, in)
	for i := range n {
		pos := records[i].Pos
		rows[i] = part[T]{Seq: pos.Seq, Sub: int32(pos.Sub), Key: records[i].Key, Time: p.when(in[i]), Row: in[i]}
	}
	return n, err
}

// reads makes the pipeline of a codec, whose rows of one record each takes apart.
func reads[T, R any](c func() (codec.Decoder[T], error), when func(T) time.Time, each func(T, func(R))) set {
	return set{build: func(p *pipeline.Pipeline, cfg kinesis.Config, _ map[string]string, lake datasets.Lake) {
		rows := p.Read(kinesis.Source(cfg, placed(c, when), func(r part[T]) time.Time { return r.Time })).Via(stage.FlatMap(func(in part[T], emit func(part[R])) {
			out := part[R]{Seq: in.Seq, Sub: in.Sub, Key: in.Key, Time: in.Time}
			each(in.Row, func(r R) {
				out.Row = r
				emit(out)
				out.Index++
			})
		}))
		rows.Write(lake.Folder("rows"), parquet.Format)
		rows.Write(lake.Folder("rows_avro"), savro.Format)
		p.Dead().Write(lake.Folder("dead"), parquet.Format)
		p.Dead().Write(lake.Folder("dead_avro"), savro.Format)
	}}
}

// single is for codecs of one row a record.
func single[T any](row T, emit func(T)) { emit(row) }

// document has the members of the JSON payloads.
type document struct {
	N  *int64   `json:"n"`
	S  *string  `json:"s"`
	ID *int64   `json:"id"`
	U  *uint64  `json:"u"`
	X  *float64 `json:"x"`
}

func (document) when() time.Time { return time.Unix(0, 0).UTC() }

// click is what click.avsc describes, the schema of the registries.
type click struct {
	Ref  *string
	User string
	N    int64
	At   time.Time
}

func (c click) when() time.Time { return c.At }

// triple is what abcSchema describes, that of the datum which looks like one with
// the header of a registry.
type triple struct {
	A int64
	B *string
	C string
}

func (triple) when() time.Time { return time.Unix(0, 0).UTC() }

const abcSchema = `{"type":"record","name":"ABC","fields":[{"name":"a","type":"long"},{"name":"b","type":["null","string"]},{"name":"c","type":"string"}]}`

// The ids that both registries know click.avsc by.
const (
	glueID      = "b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63"
	confluentID = "42"
)

// schemas is a registry of one schema.
type schemas struct{ click string }

// Schema answers.
func (s schemas) Schema(_ context.Context, id registry.ID) (registry.Schema, error) {
	if t := id.String(); t != glueID && t != confluentID {
		return registry.Schema{}, registry.ErrUnknown
	}
	return registry.Schema{Format: registry.Avro, Definition: s.click}, nil
}

// readers are the codecs by the names of their lakes.
func readers(clickSchema string) (map[string]set, error) {
	cache, err := registry.NewCache(schemas{clickSchema}, registry.CacheConfig{})
	if err != nil {
		return nil, err
	}
	return map[string]set{
		"json":           reads(codec.JSON[document], document.when, single[document]),
		"json-sequence":  reads(codec.JSONSequence[document], codec.Earliest(document.when), codec.Sequence[document].Each),
		"cloudwatch":     reads(cloudwatch.Logs, cloudwatch.Batch.When, cloudwatch.Batch.Entries),
		"dynamodb":       reads(dynamodb.Changes, dynamodb.Change.When, single[dynamodb.Change]),
		"glue-avro":      reads(avro.Config{Framing: avro.Glue, Resolver: cache}.Codec[click], click.when, single[click]),
		"glue-json":      reads(registry.Glue.Unpack(codec.JSON[document]), document.when, single[document]),
		"confluent-avro": reads(avro.Config{Framing: avro.Confluent, Resolver: cache}.Codec[click], click.when, single[click]),
		"confluent-json": reads(registry.Confluent.Unpack(codec.JSON[document]), document.when, single[document]),
		"avro-single":    reads(avro.Config{Framing: avro.SingleObject, Schema: clickSchema}.Codec[click], click.when, single[click]),
		"avro-click":     reads(avro.Config{Schema: clickSchema}.Codec[click], click.when, single[click]),
		"avro-abc":       reads(avro.Config{Schema: abcSchema}.Codec[triple], triple.when, single[triple]),
	}, nil
}

// playPayloads puts the files of a folder on a stream for each codec, and runs all
// of their pipelines at once. folder is that of their lakes.
func (o options) playPayloads(ctx context.Context, folder string) (err error) {
	if folder == "" || o.manifest == "" {
		return errors.New("-set payloads needs a local lake")
	}
	schema, err := os.ReadFile(filepath.Join(o.data, "click.avsc"))
	if err != nil {
		return err
	}
	recs, err := readPayloads(o.data)
	if err != nil {
		return err
	}
	for i := range recs {
		recs[i].key, recs[i].bad = recs[i].file, ""
	}
	all, err := readers(string(schema))
	if err != nil {
		return err
	}
	srv, err := kinesistest.Listen(kinesistest.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()

	began := time.Now()
	var wg sync.WaitGroup
	errs := make(chan error, len(all))
	out := make(map[string]*manifest, len(all))
	for name, s := range all {
		m := newManifest(payloads, o.data, payloads+"-"+name)
		out[name] = m
		wg.Go(func() { errs <- o.playReader(ctx, name, s, srv.URL(), filepath.Join(folder, name), recs, m) })
	}
	wg.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	if err := errors.Join(err, writeJSON(o.manifest, out)); err != nil {
		return err
	}
	fmt.Printf("%s: %d records put for each of %d codecs and read in %v with %d stops\n", o.set, len(recs), len(all), time.Since(began).Round(time.Millisecond), o.restarts)
	return nil
}

// playReader is the part of one codec.
func (o options) playReader(ctx context.Context, name string, s set, endpoint, folder string, recs []record, m *manifest) error {
	lake, folder, err := openLake("dir:"+folder, "", "")
	if err != nil {
		return err
	}
	o.leases = filepath.Join(folder, "_shardlake", "leases")
	if err := o.feed(ctx, client(endpoint), recs, m); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := o.lives(ctx, s, endpoint, lake, folder, m); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
