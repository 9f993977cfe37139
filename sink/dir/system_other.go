//go:build !unix

package dir

import (
	"errors"
	"syscall"
)

// foldersSync is false where a folder cannot be opened and forced. NTFS keeps a
// journal of names of its own.
const foldersSync = false

// Error codes of Windows, from winerror.h.
const (
	errorInvalidFunction  = syscall.Errno(1)
	errorNotSameDevice    = syscall.Errno(17)
	errorWriteProtect     = syscall.Errno(19)
	errorNotSupported     = syscall.Errno(50)
	errorFilenameTooLong  = syscall.Errno(206)
	errorDirectoryInvalid = syscall.Errno(267)
)

func noLinks(err error) bool {
	return errors.Is(err, errorInvalidFunction) || errors.Is(err, errorNotSupported)
}

func crossDevice(err error) bool { return errors.Is(err, errorNotSameDevice) }
func notFolder(err error) bool   { return errors.Is(err, errorDirectoryInvalid) }
func tooLong(err error) bool     { return errors.Is(err, errorFilenameTooLong) }
func readOnly(err error) bool    { return errors.Is(err, errorWriteProtect) }
