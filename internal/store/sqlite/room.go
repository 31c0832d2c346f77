//go:build linux || darwin

package sqlite

import "syscall"

// FreeSpace is how many bytes a process without privileges can still write to
// the file system of dir. known is false where that cannot be asked.
func FreeSpace(dir string) (free uint64, known bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil || s.Bsize <= 0 {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}
