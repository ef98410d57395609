package child

import (
	"fmt"
	"path/filepath"
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

// LastLines is Tail, for [client.LastLines].
func (e *ExitError) LastLines() []string { return e.Tail }

// Error is how the process ended, with the program's name and not its folder. Its last lines are
// not for everybody who reads an error.
func (e *ExitError) Error() string {
	how := fmt.Sprintf("exited with code %d", e.Code)
	switch {
	case e.Signal != "":
		how = "was ended by " + e.Signal
	case e.Code < 0:
		how = "ended, its exit code is not known"
	}
	return fmt.Sprintf("%s (pid %d) %s", filepath.Base(e.Name), e.Pid, how)
}
