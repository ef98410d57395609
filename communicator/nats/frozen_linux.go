package nats

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Fields of /proc/PID/stat after the name: see proc_pid_stat(5).
const (
	statState = 0
	statStart = 19
)

// statOf are these fields; nil if there is no such process.
func statOf(pid int) [][]byte {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	i := bytes.LastIndexByte(stat, ')') // the name before it may have any
	if err != nil || i < 0 {
		return nil
	}
	if fields := bytes.Fields(stat[i+1:]); len(fields) > statStart {
		return fields
	}
	return nil
}

// startOf is when a process was started, in ticks since the machine was; 0: it is not known.
func startOf(pid int) uint64 {
	if fields := statOf(pid); fields != nil {
		n, _ := strconv.ParseUint(string(fields[statStart]), 10, 64) // 0 is what is not known
		return n
	}
	return 0
}

// suspended reports whether a signal has stopped a process (SIGSTOP, SIGTSTP).
func suspended(pid int) bool {
	fields := statOf(pid)
	return fields != nil && string(fields[statState]) == "T"
}

// endProcess kills the process that has the number and was started then, if it is one of this user.
// A process that is being debugged is left alone. ended is false if it is not there.
func endProcess(pid int, started uint64) (ended bool, err error) {
	// What the descriptor stands for is one process, whatever becomes of its number.
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = unix.Close(fd) }()
	fields := statOf(pid)
	if fields == nil || startOf(pid) != started {
		return false, nil
	}
	if string(fields[statState]) == "t" {
		return false, errors.New("a debugger has stopped it")
	}
	var of unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d", pid), &of); err != nil {
		return false, err
	}
	if int(of.Uid) != os.Geteuid() {
		return false, fmt.Errorf("it is a process of user %d", of.Uid)
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return false, err
	}
	return true, nil
}
