// Package spread keeps those apart who wait for the same thing. It is a hash, not
// a random number: what happens in a simulation can be made to happen again.
package spread

import "hash/fnv"

// Of returns a number from 0 to 1, not 1 itself, that differs between those who
// wait and from try to try, and not from run to run.
func Of(who string, try int) float64 {
	h := fnv.New64a()
	h.Write([]byte(who))
	h.Write([]byte{byte(try), byte(try >> 8), byte(try >> 16)})
	// The last bytes hardly reach the upper bits of this hash: mix them in.
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64((x^x>>31)>>11) / (1 << 53)
}
