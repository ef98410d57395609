package ops

import (
	"bytes"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// peer is the number of the process that listens on the socket of a connection; 0: it is not known.
func peer(conn net.Conn) (pid int) {
	return ofSocket(conn, func(fd int) (int, error) {
		cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return 0, err
		}
		return int(cred.Pid), nil
	})
}

// suspended reports whether a process was suspended by a signal.
func suspended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	i := bytes.LastIndexByte(stat, ')') // the name before it may have any
	return err == nil && i >= 0 && i+2 < len(stat) && stat[i+2] == 'T'
}
