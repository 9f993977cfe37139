//go:build unix

package dir

import (
	"errors"
	"syscall"
)

// foldersSync says that fsync of a folder forces the names in it.
const foldersSync = true

func noLinks(err error) bool {
	// FAT answers EPERM, FUSE and others ENOTSUP or ENOSYS. EPERM may also come
	// from Linux's fs.protected_hardlinks, but not for files of one's own.
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS)
}

func crossDevice(err error) bool { return errors.Is(err, syscall.EXDEV) }
func notFolder(err error) bool   { return errors.Is(err, syscall.ENOTDIR) }
func tooLong(err error) bool     { return errors.Is(err, syscall.ENAMETOOLONG) }
func readOnly(err error) bool    { return errors.Is(err, syscall.EROFS) }
