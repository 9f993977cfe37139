//go:build !linux

package dir

// networkFileSystem is not able to tell on this operating system.
func networkFileSystem(string) (string, bool) { return "", false }
