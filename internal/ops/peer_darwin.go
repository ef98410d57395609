package ops

import (
	"net"

	"golang.org/x/sys/unix"
)

// peer is the number of the process that listens on the socket of a connection; 0: it is not known.
func peer(conn net.Conn) (pid int) {
	return ofSocket(conn, func(fd int) (int, error) {
		return unix.GetsockoptInt(fd, unix.SOL_LOCAL, unix.LOCAL_PEERPID)
	})
}

// stopped is SSTOP of sys/proc.h.
const stopped = 4

// suspended reports whether a process was suspended by a signal.
func suspended(pid int) bool {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	return err == nil && info.Proc.P_stat == stopped
}
