//go:build unix

package post

import (
	"errors"
	"syscall"
)

const canPeek = true

// nothingToRead reports whether a socket, which must not block, is open and has nothing to be read.
// What there is, is lost.
func nothingToRead(fd uintptr) bool {
	var b [1]byte
	_, err := syscall.Read(int(fd), b[:])
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR)
}
