package child

import (
	"fmt"
	"strings"
)

// ExitError is how a process ended.
type ExitError struct {
	Name    string   // the program, Spec.Command[0]
	Pid     int      // its number
	Code    int      // the exit code; -1 if a signal ended it, or if it is not known
	Signal  string   // the name of the signal that ended it, such as SIGKILL; else empty
	Stopped bool     // Stop or Kill had been called
	Tail    []string // the last lines of output, see [Process.Tail]
}

// Success reports whether the exit code is 0.
func (e *ExitError) Success() bool { return e.Code == 0 }

// Error includes the last lines of output.
func (e *ExitError) Error() string {
	how := fmt.Sprintf("exited with code %d", e.Code)
	switch {
	case e.Signal != "":
		how = "was ended by " + e.Signal
	case e.Code < 0:
		how = "ended, its exit code is not known"
	}
	return fmt.Sprintf("%s (pid %d) %s%s", e.Name, e.Pid, how, quoteTail(e.Tail))
}

// quoteTail continues a message with the last lines of output.
func quoteTail(lines []string) string {
	if len(lines) == 0 {
		return "; it printed nothing"
	}
	return "; its last lines:\n    " + strings.Join(lines, "\n    ")
}
