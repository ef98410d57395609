package child

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// SeesSuspension reports whether [Process.Suspended] can find anything out on this platform.
const SeesSuspension = true

// maxWrappers bounds the programs that start one another before the real one.
const maxWrappers = 8

// Suspended reports whether the program was suspended by a signal (SIGSTOP, SIGTSTP): it does
// nothing until it gets SIGCONT. Where it is a wrapper, as npx is, that has started one other
// program, it is also true if that one is; wrapped is true then. One that a debugger has stopped is
// not suspended.
func (p *Process) Suspended() (suspended, wrapped bool) {
	for pid, n := p.pid, 0; n < maxWrappers; n++ {
		state, ok := stateOf(pid)
		if !ok {
			return false, false
		}
		if state == 'T' {
			return true, n > 0
		}
		if pid, ok = onlyChild(pid); !ok {
			return false, false
		}
	}
	return false, false
}

// stateOf is the state of a process in one letter, see proc_pid_stat(5).
func stateOf(pid int) (state byte, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	i := bytes.LastIndexByte(stat, ')') // the name before it may have any
	if err != nil || i < 0 || i+2 >= len(stat) {
		return 0, false
	}
	return stat[i+2], true
}

func onlyChild(pid int) (child int, ok bool) {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(children)
	if len(fields) != 1 {
		return 0, false
	}
	child, err = strconv.Atoi(string(fields[0]))
	return child, err == nil
}
