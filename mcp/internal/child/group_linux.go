package child

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// DiesWithParent reports whether this platform ends a child when its parent is killed without a
// chance to stop it.
const DiesWithParent = true

func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = unix.SIGKILL }

// awaitExit waits until the process has ended and leaves it to be reaped. False: that is not
// possible here, nothing was awaited.
func awaitExit(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}
