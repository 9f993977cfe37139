package shardlake

import "fmt"

// Attempt identifies one attempt of a lane to make its next commit. All files
// that a lane writes between two commits belong to one attempt and carry its
// identity in their names and metadata. An attempt that dies leaves only
// invisible uploads behind; the next one has another ID and another name for
// every file, so what is left of the dead one can never be mistaken for it.
type Attempt struct {
	Application string // pipeline.Config.Application
	Source      string // the stream, as the source names it
	Lane        string // the shard
	// Tag is 10 hexadecimal digits that stand for application, stream and the
	// life of the lane's row: two applications, a stream that was deleted and made
	// again, or a row that was made again never share a file name.
	Tag    string
	Number uint64   // of the commit that is attempted; the first is 1
	Fence  uint64   // of the lane's present owner
	ID     string   // 16 hexadecimal digits, random per attempt
	From   Position // the position of the commit before: rows are beyond it
}

// FileName returns the name of file n of the attempt, without folder. Names
// need uniqueness, not stability, and sort by shard and commit number.
func (a Attempt) FileName(n int, ext string) string {
	return fmt.Sprintf("%s-%010d-%06d-%s-%03d.%s", a.FilePrefix(), a.Number, a.Fence, a.ID, n, ext)
}

// FilePrefix is what the names of all files of one lane's row begin with.
func (a Attempt) FilePrefix() string { return "sl-" + a.Tag + "-" + shortLane(a.Lane) }

// shortLane cuts "shardId-000000000012" to "12" and makes anything else safe and
// short: the tag tells lanes apart already where two of them shorten alike.
func shortLane(lane string) string {
	i := len(lane)
	for i > 0 && lane[i-1] >= '0' && lane[i-1] <= '9' {
		i--
	}
	n := lane[i:]
	for len(n) > 1 && n[0] == '0' {
		n = n[1:]
	}
	if n == "" || len(n) > 12 {
		return "x"
	}
	return n
}
