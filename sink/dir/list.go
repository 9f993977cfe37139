package dir

import (
	"context"
	"io/fs"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/shardlake/shardlake/sink"
)

// remainsAge is the age at which a file of the staging folder that belongs to no
// upload is taken for what a crash left, and not for a Create under way.
const remainsAge = 24 * time.Hour

// Uploads lists the unfinished uploads. It also removes, once they are older than
// a day, files that a crash inside Create, Complete or Abort left and that belong
// to no upload.
func (s *Store) Uploads(ctx context.Context, prefix string) iter.Seq2[sink.Upload, error] {
	return func(yield func(sink.Upload, error) bool) {
		if s.err != nil {
			yield(sink.Upload{}, s.err)
			return
		}
		entries, err := os.ReadDir(s.stage(""))
		if err != nil && !gone(err) {
			yield(sink.Upload{}, failed("list the staging folder", err))
			return
		}
		whole := make(map[string]bool, len(entries)) // by id
		for _, e := range entries {
			id, ok := strings.CutSuffix(e.Name(), ".upload")
			if !ok || !validID(id) {
				continue
			}
			if ctx.Err() != nil {
				yield(sink.Upload{}, ended(ctx))
				return
			}
			j, err := s.list(id)
			if err != nil {
				yield(sink.Upload{}, err)
				return
			}
			if j == nil {
				continue
			}
			whole[id] = true
			if strings.HasPrefix(j.Key, prefix) && !yield(sink.Upload{Key: j.Key, ID: id, Begun: j.Begun}, nil) {
				return
			}
		}
		if err := s.removeRemains(entries, whole); err != nil {
			yield(sink.Upload{}, err)
		}
	}
}

// list returns the journal of an upload, or nil if there is none of that id.
func (s *Store) list(id string) (*journal, error) {
	b, err := os.ReadFile(s.stage(id + ".upload"))
	if gone(err) {
		return nil, nil
	} else if err != nil {
		return nil, failed("read a staged file", err)
	}
	if _, err := os.Stat(s.stage(id + ".data")); gone(err) {
		return nil, nil
	} else if err != nil {
		return nil, failed("look up a staged file", err)
	}
	j, ok := parseJournal(b)
	if !ok {
		return nil, nil
	}
	return j, nil
}

func (s *Store) removeRemains(entries []fs.DirEntry, whole map[string]bool) error {
	for _, e := range entries {
		name := e.Name()
		id, _, _ := strings.Cut(name, ".")
		if !validID(id) || whole[id] || e.IsDir() {
			continue
		}
		info, err := e.Info()
		if gone(err) {
			continue
		} else if err != nil {
			return failed("look up a staged file", err)
		}
		if s.now().Sub(info.ModTime()) < remainsAge {
			continue
		}
		if err := os.Remove(s.stage(name)); err != nil && !gone(err) {
			return failed("remove a staged file", err)
		}
	}
	return nil
}
