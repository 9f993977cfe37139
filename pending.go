package shardlake

import "encoding/json"

// Pending is a sealed upload: invisible, complete, and described well enough
// that a program without the sink that made it can publish it. Kind finds the
// publisher; Data is the publisher's own and holds absolute locations.
type Pending struct {
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data"`
}
