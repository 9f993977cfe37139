package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// rows prints one line a lane.
func rows(ctx context.Context, store lease.Store, out io.Writer) error {
	if err := store.Open(ctx); err != nil {
		return err
	}
	all, err := store.List(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b lease.Row) int { return cmp.Compare(a.Lane, b.Lane) })
	var text []byte
	text = append(text, "LANE\tSTATE\tOWNER\tFENCE\tCOMMIT\tPOSITION\tWATERMARK\tBEHIND\tRECORDS/S\tBUSY\n"...)
	for _, r := range all {
		behind := "-"
		if r.Vitals.Behind >= 0 && r.Owner != "" {
			behind = r.Vitals.Behind.Round(time.Second).String()
		}
		text = fmt.Appendf(text, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%.1f\t%.0f%%\n", r.Lane, state(r), cmp.Or(r.Owner, "-"), r.Fence, r.Number, r.Pos, r.Watermark, behind, r.Vitals.Records, 100*r.Vitals.Busy)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range all {
		if r.Hold == "" {
			continue
		}
		if _, err := fmt.Fprintf(out, "\n%s is held: %s\n", r.Lane, r.Hold); err != nil {
			return err
		}
	}
	return nil
}

// state says in a word what becomes of a lane.
func state(r lease.Row) string {
	switch {
	case r.Hold != "":
		return "held"
	case r.Repair != "":
		return "in repair"
	case r.Finished():
		return "finished"
	case r.Ended:
		return "publishing its end"
	case len(r.Pending) > 0 || r.Unread:
		return "publishing"
	case r.Want != "":
		return "asked for"
	case r.Owner == "":
		return "free"
	}
	return "owned"
}
