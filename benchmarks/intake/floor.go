package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/benchmarks/intake/canned"
	"github.com/shardlake/shardlake/benchmarks/intake/round"
)

// floor reads as cheaply as Go's standard library allows: requests without signature
// over net/http, a body that is used again, payloads and nothing else cut out of it
// by searching for the names, encoding/base64 into memory that is used again. It
// knows nothing of keys, numbers, errors or retries.
func floor(ctx context.Context, j *round.Job) (round.Outcome, error) {
	c, err := round.Client(ctx)
	if err != nil {
		return round.Outcome{}, err
	}
	ids, err := j.IDs(ctx, c)
	if err != nil {
		return round.Outcome{}, err
	}
	h := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: len(ids)}}
	return j.Each(ids, func(s *round.Shard) error {
		f := floored{client: h, endpoint: os.Getenv("AWS_ENDPOINT_URL_KINESIS"), next: canned.Iterator(j.Of, s.ID, 0)}
		for {
			began := time.Now()
			recs, err := f.fetch(ctx)
			if err != nil {
				return err
			}
			if err := s.Take(ctx, recs); err != nil || s.Done() {
				return err
			}
			if err := round.Pause(ctx, began); err != nil {
				return err
			}
		}
	})
}

// floored reads one shard. Its memory lasts until the next answer.
type floored struct {
	client         *http.Client
	endpoint, next string
	body           bytes.Buffer
	arena          []byte
	records        []shardlake.Record
}

func (f *floored) fetch(ctx context.Context) ([]shardlake.Record, error) {
	ask := fmt.Appendf(nil, `{"ShardIterator":"%s"}`, f.next)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.endpoint, bytes.NewReader(ask))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "Kinesis_20131202.GetRecords")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	f.body.Reset()
	f.body.Grow(int(resp.ContentLength) + bytes.MinRead)
	_, err = f.body.ReadFrom(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", resp.Status, f.body.Bytes())
	}
	return f.parse(f.body.Bytes())
}

func (f *floored) parse(body []byte) ([]shardlake.Record, error) {
	next, rest, ok := cutString(body, `"NextShardIterator":"`)
	if !ok {
		return nil, io.ErrUnexpectedEOF
	}
	f.next = string(next)
	if cap(f.arena) < len(body) {
		f.arena = make([]byte, 0, len(body))
	}
	f.arena, f.records = f.arena[:0], f.records[:0]
	for {
		var data []byte
		if data, rest, ok = cutString(rest, `"Data":"`); !ok {
			return f.records, nil
		}
		from := len(f.arena)
		n, err := base64.StdEncoding.Decode(f.arena[from:cap(f.arena)], data)
		if err != nil {
			return nil, err
		}
		f.arena = f.arena[:from+n]
		f.records = append(f.records, shardlake.Record{Data: f.arena[from:]})
	}
}

// cutString returns what stands between a name and the next quote, and what follows.
func cutString(b []byte, name string) (value, rest []byte, ok bool) {
	_, b, ok = bytes.Cut(b, []byte(name))
	if !ok {
		return nil, nil, false
	}
	return bytes.Cut(b, []byte{'"'})
}
