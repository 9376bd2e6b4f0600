//go:build unix

package workspace

import "syscall"

// freeSpace is how many bytes an ordinary user can still write to the file system of a directory.
func freeSpace(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil
}
