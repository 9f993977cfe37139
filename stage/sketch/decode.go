package sketch

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/encoding"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

// maxQuantiles bounds an encoding: of each sign 2,048 bins, with nine bytes for
// the count of each, one for the distance to the one before, and headers.
const maxQuantiles = 64 << 10

// decode reads the library's format, as its package encoding documents it, and
// not by its decoder: that one believes the indexes and counts that it reads.
func decode(data []byte) (*ddsketch.DDSketch, error) {
	if len(data) > maxQuantiles {
		return nil, fmt.Errorf("%d bytes: want at most %d", len(data), maxQuantiles)
	}
	s := newSketch()
	rest := data
	for len(rest) > 0 {
		if err := block(s, &rest); err != nil {
			return nil, fmt.Errorf("at byte %d: %w", len(data)-len(rest), err)
		}
	}
	if !whole(s.GetCount()) {
		return nil, errors.New("there are more than 2^53 values")
	}
	var again []byte
	if s.Encode(&again, false); !bytes.Equal(data, again) {
		return nil, errors.New("the bytes are not those that its content is written as")
	}
	return s, nil
}

// block reads one block into s.
func block(s *ddsketch.DDSketch, b *[]byte) error {
	flag, err := encoding.DecodeFlag(b)
	if err != nil {
		return err
	}
	switch flag.Type() {
	case encoding.FlagTypePositiveStore:
		return bins(s.GetPositiveValueStore(), s, flag.SubFlag(), b)
	case encoding.FlagTypeNegativeStore:
		return bins(s.GetNegativeValueStore(), s, flag.SubFlag(), b)
	}
	switch flag {
	case encoding.FlagZeroCountVarFloat:
		n, err := encoding.DecodeVarfloat64(b)
		if err != nil {
			return err
		}
		if !whole(n) {
			return errors.New("the number of zeros is none")
		}
		return s.AddWithCount(0, n)
	case encoding.FlagIndexMappingBaseLogarithmic:
		m, err := mapping.Decode(b, flag)
		if err != nil {
			return err
		}
		if !s.IndexMapping.Equals(m) {
			return fmt.Errorf("a sketch of another accuracy than %v: the two cannot be merged", accuracy)
		}
		return nil
	}
	return errors.New("a block of an unknown kind")
}

// bins reads the bins of one sign.
func bins(to store.Store, s *ddsketch.DDSketch, layout encoding.SubFlag, b *[]byte) error {
	if !to.IsEmpty() {
		return errors.New("the bins of one sign are there twice")
	}
	n, err := encoding.DecodeUvarint64(b)
	if err != nil {
		return err
	}
	if n > maxBins {
		return fmt.Errorf("there are %d bins: want at most %d", n, maxBins)
	}
	var index int64
	step, dense := int64(0), layout == encoding.BinEncodingContiguousCounts
	switch {
	case dense:
		if index, err = encoding.DecodeVarint64(b); err != nil {
			return err
		}
		if step, err = encoding.DecodeVarint64(b); err != nil {
			return err
		}
		index -= step
	case layout != encoding.BinEncodingIndexDeltasAndCounts:
		return errors.New("bins in an unknown layout")
	}
	first, last := int64(s.Index(s.MinIndexableValue()))-1, int64(s.Index(s.MaxIndexableValue()))+1
	for range n {
		if !dense {
			if step, err = encoding.DecodeVarint64(b); err != nil {
				return err
			}
		}
		count, err := encoding.DecodeVarfloat64(b)
		if err != nil {
			return err
		}
		if index += step; index < first || index > last {
			return fmt.Errorf("bin %d lies outside of %d to %d", index, first, last)
		}
		if !whole(count) {
			return fmt.Errorf("the number of values in bin %d is none", index)
		}
		to.AddWithCount(int(index), count)
	}
	return nil
}
