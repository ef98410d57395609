//go:build unix && !linux

package child

import "syscall"

// DiesWithParent reports whether this platform ends a child when its parent is killed without a
// chance to stop it.
const DiesWithParent = false

func dieWithParent(*syscall.SysProcAttr) {}

// awaitExit waits until the process has ended and leaves it to be reaped. False: that is not
// possible here, nothing was awaited.
func awaitExit(int) bool { return false }
