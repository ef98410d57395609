//go:build unix

package descriptors

import "syscall"

// limit is how many files the process may open. Go programs have the hard limit.
func limit() (of uint64, known bool) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, false
	}
	return l.Cur, true
}
