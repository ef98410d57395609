package guard

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Finds reports whether [Signal] can find anything on this platform.
const Finds = true

// Signal sends s to each process that carries the mark, or one that begins with it and a dot, and
// returns how many it found. This process, and those of the process group except, do not count. It
// does not see processes of other users, nor one that has ended and was not waited for.
func Signal(mark Mark, s os.Signal, except int) int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	found := 0
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !carries(pid, mark) {
			continue
		}
		if group, err := unix.Getpgid(pid); err != nil || except != 0 && group == except {
			continue
		}
		p, err := os.FindProcess(pid) // by a handle, where the kernel has them
		if err != nil {
			continue
		}
		if carries(pid, mark) { // the number is still that process's
			found++
			_ = p.Signal(s) // it may have ended
		}
		_ = p.Release()
	}
	return found
}

// Names are the processes that carry the mark, or one that begins with it and a dot, such as
// "sleep (pid 12)". It does not see what [Signal] does not see.
func Names(mark Mark) (names []string) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !carries(pid, mark) {
			continue
		}
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err == nil {
			names = append(names, fmt.Sprintf("%s (pid %d)", bytes.TrimSpace(comm), pid))
		}
	}
	return names
}

// carries reports whether a process was started with the mark in its environment.
func carries(pid int, mark Mark) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	for len(environ) > 0 {
		var entry []byte
		entry, environ, _ = bytes.Cut(environ, []byte{0})
		if value, ok := bytes.CutPrefix(entry, []byte(Var+"=")); ok {
			rest, ok := bytes.CutPrefix(value, []byte(mark))
			return ok && (len(rest) == 0 || rest[0] == '.')
		}
	}
	return false
}

// hide gives the process its own name, and closes the files that the program had inherited without
// knowing of them: a port or a terminal that outlives it is in somebody's way. What the Go runtime
// has opened for itself has no name in the file system.
func hide() {
	_ = os.WriteFile(fmt.Sprintf("/proc/self/task/%d/comm", os.Getpid()), []byte(name), 0)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, f := range files {
		fd, err := strconv.Atoi(f.Name())
		if err != nil || fd <= 2 {
			continue
		}
		target, err := os.Readlink("/proc/self/fd/" + f.Name())
		if err == nil && !strings.HasPrefix(target, "anon_inode:") {
			unix.Close(fd) //nolint:errcheck // nobody uses it
		}
	}
}
