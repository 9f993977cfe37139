//go:build !unix

package lease

import (
	"errors"
	"os"
)

// lockFolder refuses: without a lock that ends with the process, a second one
// could not be kept out.
func lockFolder(string) (*os.File, error) {
	return nil, errors.New("lease.File needs a Unix system; use a table shared by the fleet")
}
