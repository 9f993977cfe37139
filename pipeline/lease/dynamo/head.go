package dynamo

import (
	"context"
	"errors"
	"fmt"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// head is the content of _shardlake/head/<lane>-<inc>: the last commit that is
// known to have been made in this life of the row. A row below it was restored
// from a backup: its next commits would double what lies in the lake.
type head struct {
	Number   uint64 `json:"number"`
	CommitID string `json:"cid,omitzero"`
}

func headKey(r lease.Row) string { return fmt.Sprintf("_shardlake/head/%s-%s", escaped(r.Lane), r.Inc) }

// readHead returns the zero head if there is none.
func (s *Store) readHead(ctx context.Context, r lease.Row) (h head, err error) {
	b, err := s.cfg.Large.GetBlob(ctx, headKey(r))
	if errors.Is(err, lease.ErrNoBlob) {
		return h, nil
	}
	if err == nil {
		err = decodeJSON(string(b), &h)
	}
	if err != nil {
		return h, fmt.Errorf("dynamo: row %q in table %s: its object %s, which holds the number of the last commit: %w", r.Lane, s.cfg.Table, headKey(r), err)
	}
	return h, nil
}

func (s *Store) writeHead(ctx context.Context, r lease.Row) error {
	text, err := encodeJSON(head{r.Number, r.CommitID})
	if err == nil {
		err = s.cfg.Large.PutBlob(ctx, headKey(r), []byte(text))
	}
	if err != nil {
		return fmt.Errorf("dynamo: row %q in table %s: write its object %s: %w", r.Lane, s.cfg.Table, headKey(r), err)
	}
	return nil
}

// compareHead holds the row just acquired if it is older than the lake, and else
// writes its number.
func (s *Store) compareHead(ctx context.Context, r lease.Row) (lease.Row, error) {
	if s.cfg.Large == nil {
		return r, nil
	}
	h, err := s.readHead(ctx, r)
	if err != nil {
		return r, err
	}
	switch {
	case h.Number == r.Number:
		return r, nil
	case h.Number < r.Number:
		return r, s.writeHead(ctx, r)
	case r.Hold != "":
		return r, nil
	}
	hold := fmt.Sprintf("the row is at commit %d, but commit %d was made: it was restored from a backup that is older than the lake, and reading on would double rows; bring the row to the last commit, or remove sl_hold and the object %s to go on all the same",
		r.Number, h.Number, headKey(r))
	e := newExpr()
	e.owner(r)
	e.set(attrHold, text(hold))
	_, ok, err := s.update(ctx, r.Lane, e)
	switch {
	case err != nil:
		return r, err
	case !ok:
		return r, s.lost("UpdateItem", r.Lane)
	}
	r.Hold = hold
	return r, nil
}
