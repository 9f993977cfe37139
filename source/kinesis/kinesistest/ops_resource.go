package kinesistest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// maxPolicy is how long a resource policy may be, in bytes. The service's own bound
// is that of IAM for resource policies.
const maxPolicy = 20 << 10

// resource is what tags and policies are attached to: a stream or a consumer. The
// stream's lock guards both.
type resource struct {
	arn    string
	stream *stream
	tags   *map[string]string
	policy *string
}

// resource finds what ResourceARN names.
func (s *Server) resource(c *call) (resource, *Error) {
	arn := c.req.ResourceARN
	if arn == "" {
		return resource{}, violation("resourceARN", "Member must not be null")
	}
	name, ours := strings.CutPrefix(arn, s.arn(""))
	if !ours {
		return resource{}, failure(codeNotFound, "ResourceARN %s is not one of this server, which begin with %s.", arn, s.arn(""))
	}
	name, _, isConsumer := strings.Cut(name, "/consumer/")
	st, err := s.lookup(name, c.now)
	if err != nil {
		return resource{}, err
	}
	if !isConsumer {
		return resource{arn, st, &st.tags, &st.policy}, nil
	}
	st.mu.RLock()
	defer st.mu.RUnlock()
	for _, k := range st.registered(c.now) {
		if k.arn == arn {
			return resource{arn, st, &k.tags, &k.policy}, nil
		}
	}
	return resource{}, failure(codeNotFound, "Consumer %s is not found.", arn)
}

// withResource runs f on the resource of a request, under its stream's lock.
func (s *Server) withResource(c *call, f func(resource) *Error) *Error {
	r, err := s.resource(c)
	if err != nil {
		return err
	}
	r.stream.mu.Lock()
	defer r.stream.mu.Unlock()
	return f(r)
}

func (s *Server) tagResource(c *call) *Error {
	return s.withResource(c, func(r resource) *Error {
		if err := r.tag(c.req.Tags); err != nil {
			return err
		}
		return c.answer(object{})
	})
}

// tag adds tags, all or none.
func (r resource) tag(more map[string]string) *Error {
	tags := maps.Clone(*r.tags)
	maps.Copy(tags, more)
	if err := checkTags(tags); err != nil {
		return err
	}
	*r.tags = tags
	return nil
}

func (s *Server) untagResource(c *call) *Error {
	return s.withResource(c, func(r resource) *Error {
		for _, k := range c.req.TagKeys {
			delete(*r.tags, k)
		}
		return c.answer(object{})
	})
}

func (s *Server) listTagsForResource(c *call) *Error {
	return s.withResource(c, func(r resource) *Error {
		tags := []object{}
		for _, k := range slices.Sorted(maps.Keys(*r.tags)) {
			tags = append(tags, object{"Key": k, "Value": (*r.tags)[k]})
		}
		return c.answer(object{"Tags": tags})
	})
}

func (s *Server) putPolicy(c *call) *Error {
	var policy map[string]any
	switch err := json.Unmarshal([]byte(c.req.Policy), &policy); {
	case c.req.Policy == "":
		return violation("policy", "Member must not be null")
	case err != nil:
		return invalidArgument("The policy is not a JSON object: %v", err)
	case len(c.req.Policy) > maxPolicy:
		return invalidArgument("The policy has %d bytes, and at most %d are allowed.", len(c.req.Policy), maxPolicy)
	}
	return s.withResource(c, func(r resource) *Error {
		*r.policy = c.req.Policy
		return c.answer(object{})
	})
}

func (s *Server) getPolicy(c *call) *Error {
	return s.withResource(c, func(r resource) *Error {
		if *r.policy == "" {
			return failure(codeNotFound, "Resource %s has no policy.", r.arn)
		}
		return c.answer(object{"Policy": *r.policy})
	})
}

func (s *Server) deletePolicy(c *call) *Error {
	return s.withResource(c, func(r resource) *Error {
		if *r.policy == "" {
			return failure(codeNotFound, "Resource %s has no policy.", r.arn)
		}
		*r.policy = ""
		return c.answer(object{})
	})
}
