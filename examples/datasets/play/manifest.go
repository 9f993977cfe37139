package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
)

// manifest tells the checkers what was put, where it went, and how the pipeline
// ran.
type manifest struct {
	Set         string            `json:"set"`
	Data        string            `json:"data"` // name of the file, without folder
	Stream      string            `json:"stream"`
	Application string            `json:"application"`
	Records     int               `json:"records"` // of the data set, malformed ones not counted
	Malformed   []badRecord       `json:"malformed"`
	Last        map[string]string `json:"last"`  // shard to the last sequence number put to it
	Count       map[string]int    `json:"count"` // shard to the number of records put to it
	// Ended lists shards that were closed before the end. Resharded tells that keys went
	// on in other shards.
	Ended     []string `json:"ended"`
	Resharded bool     `json:"resharded"`
	// Parents are those of each shard of the stream: what a shard kept when it ended
	// goes on in its children.
	Parents map[string][]string `json:"parents"`
	// Drained tells that the stream was read to its end, all windows included.
	Drained bool  `json:"drained"`
	Retried int   `json:"retried"` // puts that the service refused first
	Killed  int   `json:"killed"`  // processes, before the runs
	Runs    []run `json:"runs"`
	// Files are the records of a folder of payloads, which are not malformed for every
	// codec.
	Files []putFile `json:"files,omitempty"`
}

// putFile is a file that was put as a record.
type putFile struct {
	File  string `json:"file"`
	Shard string `json:"shard"`
	Seq   string `json:"seq"`
	Key   string `json:"key"`
}

// newManifest is that of a stream before anything is put.
func newManifest(set, data, stream string) *manifest {
	return &manifest{Set: set, Data: filepath.Base(data), Stream: stream, Application: application,
		Last: map[string]string{}, Count: map[string]int{}, Ended: []string{}, Malformed: []badRecord{}}
}

// badRecord is a record that must become a dead letter.
type badRecord struct {
	Kind   string `json:"kind"`
	Shard  string `json:"shard"`
	Seq    string `json:"seq"`
	Key    string `json:"key"`
	SHA256 string `json:"sha256"`
	Bytes  int    `json:"bytes"`
	// Data is the record itself if it begins like an aggregated one (KPL): then there
	// is a dead letter for each user record in it.
	Data []byte `json:"data,omitempty"`
}

// run is one life of the pipeline.
type run struct {
	CommitRecords int   `json:"commit_records"`
	FetchLimit    int   `json:"fetch_limit"`
	Records       int64 `json:"records"`
	Commits       int64 `json:"commits"`
	Files         int64 `json:"files"`
	Dead          int64 `json:"dead"`
	Millis        int64 `json:"millis"`
}

// stored notes that r went to a shard, as the record of that number.
func (m *manifest) stored(r record, shard, seq string) {
	m.Last[shard] = seq
	m.Count[shard]++
	if r.bad == "" {
		m.Records++
		if r.file != "" {
			m.Files = append(m.Files, putFile{r.file, shard, seq, r.key})
		}
		return
	}
	sum := sha256.Sum256(r.data)
	b := badRecord{Kind: r.bad, Shard: shard, Seq: seq, Key: r.key, SHA256: hex.EncodeToString(sum[:]), Bytes: len(r.data)}
	if bytes.HasPrefix(r.data, []byte("\xF3\x89\x9A\xC2")) {
		b.Data = r.data
	}
	m.Malformed = append(m.Malformed, b)
}

// write writes the manifest to a file, whose folder must exist.
func (m *manifest) write(path string) error { return writeJSON(path, m) }

func writeJSON(path string, v any) (err error) {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	folder, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	return folder.WriteFile(filepath.Base(path), b, 0o666)
}
