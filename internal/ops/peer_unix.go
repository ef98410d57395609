//go:build linux || darwin

package ops

import (
	"net"
	"syscall"
)

// ofSocket is what a call says of the socket of a connection; 0: nothing.
func ofSocket(conn net.Conn, get func(fd int) (int, error)) (value int) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	err = raw.Control(func(fd uintptr) {
		if n, err := get(int(fd)); err == nil { //nolint:gosec // a descriptor is small
			value = n
		}
	})
	if err != nil {
		return 0
	}
	return value
}
