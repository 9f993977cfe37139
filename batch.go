package shardlake

import "slices"

// Batch is a run of rows of one lane, in order. Rows[i] comes from
// Records[Origins[i].Record] and happened at Origins[i].Time.
//
// Who receives a batch owns Rows and Origins and may edit both; nobody keeps
// either after Push returns; who hands one batch to two receivers clones it.
// Records is shared and read-only.
//
// Values and their origins lie in two slices so that a stage that changes only
// values passes the origins on untouched.
type Batch[T any] struct {
	Rows    []T
	Origins []Origin
	Records []Record
}

// Origin says where a row comes from and when it happened: 16 bytes and no
// pointer, so the garbage collector never looks at it.
type Origin struct {
	Time   Instant // event time
	Record int32   // index into Batch.Records
}

// From returns the record that row i was made of.
func (b Batch[T]) From(i int) *Record { return &b.Records[b.Origins[i].Record] }

// Clone returns a batch with Rows and Origins of its own.
func (b Batch[T]) Clone() Batch[T] {
	return Batch[T]{Rows: slices.Clone(b.Rows), Origins: slices.Clone(b.Origins), Records: b.Records}
}

// Cut returns rows i to j as a batch that shares memory with b. What is appended
// to it does not overwrite what follows in b.
func (b Batch[T]) Cut(i, j int) Batch[T] {
	return Batch[T]{Rows: b.Rows[i:j:j], Origins: b.Origins[i:j:j], Records: b.Records}
}
