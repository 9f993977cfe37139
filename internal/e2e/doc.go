// Package e2e holds tests that need a whole pipeline over real stores and
// formats: what happens to a service that is slow, and to memory.
package e2e
