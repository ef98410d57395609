package cli

import (
	"fmt"
	"os"
)

// The exit codes of every command, as docs/reference/cli.md has them.
const (
	exitOK      = 0   // all is well; a run ended in order
	exitFailed  = 1   // something failed: a call, a build, a critical agent
	exitUsage   = 2   // the command line or the project file is wrong, as validate reports it
	exitAborted = 130 // a second signal ended the process at once, or the first one a call
)

// An exitError ends the program with a code. Without an error of its own, that error was shown
// already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// Usage marks an error as the user's: the command line or the project file is wrong.
func Usage(err error) error { return &exitError{exitUsage, err} }

// Exit is an error that ends the program with code and shows nothing.
func Exit(code int) error { return &exitError{code: code} }

// A signalError is why a context ended that a signal has ended.
type signalError struct{ os.Signal }

func (e signalError) Error() string { return e.String() }
