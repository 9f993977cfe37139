// Package leasetest is the acceptance suite of lease stores. A store that passes
// it may hold the rows of a pipeline:
//
//	func TestStore(t *testing.T) {
//		leasetest.Run(t, func(t *testing.T) lease.Store { return open(t) })
//	}
package leasetest

import (
	"testing"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// Run holds a store against the contract of lease.Store. open returns a new,
// empty store; it is called once for each part of the suite, and Run calls Open on
// what it returns. What open makes it also cleans up, with t.Cleanup.
//
// The parts about Renew are run if the store is Shared. What a List returns is
// looked at as if it were of this instant, so a store whose listings lag must wait
// in open's List for what its own process wrote.
//
// Parts that race start up to 24 goroutines; all end before Run does. Nothing
// waits for the clock.
func Run(t *testing.T, open func(*testing.T) lease.Store) {
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) {
			s := open(t)
			check(t, s.Open(t.Context()))
			if part.shared && !s.Shared() {
				return // nobody calls Renew
			}
			part.run(t, s)
		})
	}
}

// part is a promise of the contract.
type part struct {
	name   string
	shared bool // only for shared stores
	run    func(*testing.T, lease.Store)
}

var parts = []part{
	{"create", false, testCreate},
	{"a lane without a row", false, testAbsent},
	{"lane ids", false, testLanes},
	{"acquire", false, testAcquire},
	{"acquire what has moved", false, testSeen},
	{"not acquired", false, testUnowned},
	{"a chain of commits", false, testChain},
	{"all fields of a commit", false, testFields},
	{"a repeated commit", false, testRepeatedCommit},
	{"a commit that is lost", false, testLost},
	{"large rows", false, testLarge},
	{"clear", false, testClear},
	{"mark and repair", false, testMark},
	{"ask", false, testAsk},
	{"release", false, testRelease},
	{"delete", false, testDelete},
	{"made again", false, testMadeAgain},
	{"late writes", false, testLate},
	{"rows are copies", false, testCopies},
	{"segments carried over", false, testCarried},
	{"segments that are not there", false, testNoSegment},
	{"empty segments", false, testEmptySegment},
	{"dropped segments", false, testDropped},
	{"segments of a repair", false, testRepairedSegments},
	{"many large segments", false, testManyLarge},
	{"a repeated commit that carries over", false, testRepeatedCarry},
	{"segments and a displaced owner", false, testZombieSegments},
	{"acquisitions race", false, testRacingAcquire},
	{"commits race", false, testRacingCommits},
	{"requests race", false, testRacingAsk},
	{"renew", true, testRenew},
	{"heartbeats beside a commit", true, testHeartbeats},
	{"a commit keeps what heartbeats wrote", true, testKeeps},
}
