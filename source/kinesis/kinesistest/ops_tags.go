package kinesistest

import (
	"maps"
	"slices"
	"unicode/utf8"
)

// maxTags is the bound of the API reference of AddTagsToStream.
const maxTags = 50

func checkTags(tags map[string]string) *Error {
	if len(tags) > maxTags {
		return invalidArgument("A stream can have at most %d tags.", maxTags)
	}
	for k, v := range tags {
		if n := utf8.RuneCountInString(k); n < 1 || n > 128 {
			return violation("tags", "Map keys must have length between 1 and 128, and %q has %d", k, n)
		}
		if n := utf8.RuneCountInString(v); n > 256 {
			return violation("tags", "Map values must have length at most 256, and that of %q has %d", k, n)
		}
	}
	return nil
}

func (s *Server) addTags(c *call) *Error {
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := (resource{stream: st, tags: &st.tags}).tag(c.req.Tags); err != nil {
		return err
	}
	return c.answer(object{})
}

func (s *Server) removeTags(c *call) *Error {
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, k := range c.req.TagKeys {
		delete(st.tags, k)
	}
	return c.answer(object{})
}

func (s *Server) listTags(c *call) *Error {
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	limit, err := atMost(c.req.Limit, maxTags, maxTags, "limit")
	if err != nil {
		return err
	}
	st.mu.RLock()
	defer st.mu.RUnlock()
	tags, more := []object{}, false
	for _, k := range slices.Sorted(maps.Keys(st.tags)) {
		if k <= c.req.ExclusiveStartTagKey {
			continue
		}
		if more = len(tags) == limit; more {
			break
		}
		tags = append(tags, object{"Key": k, "Value": st.tags[k]})
	}
	return c.answer(object{"Tags": tags, "HasMoreTags": more})
}
