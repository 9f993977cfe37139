package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hamba/avro/v2/ocf"
	"github.com/parquet-go/parquet-go"
)

// stored is what the files hold, as libraries that are not Shardlake's read them.
type stored struct {
	files         int
	clicks, views map[int64]int
	dead          int64
	minutes       map[time.Time]int64
}

// compare counts every record of the stream in the files.
func compare(lake string, want *produced, killed int) error {
	got, err := readLake(lake)
	if err != nil {
		return err
	}
	views := want.clicks - want.robots - want.noPage
	ok := true
	row := func(what string, produced, stored, distinct int64) {
		verdict := "ok"
		if produced != stored || distinct != stored {
			verdict, ok = "WRONG", false
		}
		fmt.Printf("  %-34s %9d %9d %9d   %s\n", what, produced, stored, distinct, verdict)
	}
	fmt.Printf("\n  %-34s %9s %9s %9s\n", fmt.Sprintf("%d files, %d kills", got.files, killed), "produced", "stored", "distinct")
	row("clicks (raw/clicks, Avro)", want.clicks, total(got.clicks), int64(len(got.clicks)))
	row("views (views, Parquet)", views, total(got.views), int64(len(got.views)))
	row("dead letters (dead, Avro)", want.broken+want.noPage, got.dead, got.dead)
	// Windows that are still open are in the leases, not in files.
	var inWindows int64
	for minute, n := range got.minutes {
		if n > want.minutes[minute] {
			ok = false
			fmt.Printf("  minute %v has %d views, %d were produced\n", minute, n, want.minutes[minute])
		}
		inWindows += n
	}
	fmt.Printf("  %d closed minutes of %d hold %d views (page_minutes, Parquet)\n", len(got.minutes), len(want.minutes), inWindows)
	if closed := complete(got.minutes, want.minutes); closed < len(want.minutes)/2 {
		ok = false
		fmt.Printf("  only %d minutes are complete\n", closed)
	}
	if !ok {
		return errors.New("the lake does not hold what was produced")
	}
	fmt.Printf("\nEvery record is in the lake once. Look at it with any reader, for instance:\n\n")
	fmt.Printf("  duckdb -c \"select section, count(*) n, count(distinct id) ids from '%s' group by all order by n desc\"\n\n", filepath.Join(show(lake), "views", "**", "*.parquet"))
	return nil
}

func complete(got, want map[time.Time]int64) (n int) {
	for minute, views := range want {
		if got[minute] == views {
			n++
		}
	}
	return n
}

func total(ids map[int64]int) (n int64) {
	for _, times := range ids {
		n += int64(times)
	}
	return n
}

// readLake reads all visible files.
func readLake(lake string) (*stored, error) {
	s := &stored{clicks: map[int64]int{}, views: map[int64]int{}, minutes: map[time.Time]int64{}}
	err := filepath.WalkDir(lake, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.Name() == "_shardlake" {
				return fs.SkipDir
			}
			return err
		}
		s.files++
		rel, err := filepath.Rel(lake, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case strings.HasPrefix(rel, "raw/clicks/"):
			return readAvro(path, func(c struct {
				ID int64 `avro:"id"`
			}) {
				s.clicks[c.ID]++
			})
		case strings.HasPrefix(rel, "dead/"):
			return readAvro(path, func(struct {
				Reason string `avro:"reason"`
			}) {
				s.dead++
			})
		case strings.HasPrefix(rel, "views/"):
			return readParquet(path, func(v struct {
				ID int64 `parquet:"id"`
			}) {
				s.views[v.ID]++
			})
		case strings.HasPrefix(rel, "page_minutes/"):
			return readParquet(path, func(m struct {
				Minute time.Time `parquet:"minute,timestamp(microsecond)"`
				Views  int64     `parquet:"views"`
			}) {
				s.minutes[m.Minute.UTC()] += m.Views
			})
		}
		return fmt.Errorf("%s is no file of this demo", path)
	})
	return s, err
}

func readAvro[T any](path string, each func(T)) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	d, err := ocf.NewDecoder(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for d.HasNext() {
		var row T
		if err := d.Decode(&row); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		each(row)
	}
	return d.Error()
}

func readParquet[T any](path string, each func(T)) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	r := parquet.NewGenericReader[T](f)
	defer func() { err = errors.Join(err, r.Close(), f.Close()) }()
	rows := make([]T, 256)
	for {
		n, err := r.Read(rows)
		for _, row := range rows[:n] {
			each(row)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
}
