package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/project"
)

// The exit codes of every command, as docs/cli.md has them.
const (
	exitOK      = 0   // all is well; a run ended in order
	exitFailed  = 1   // something failed: a call, a build, a critical agent
	exitUsage   = 2   // the command line or the project file is wrong, as validate reports it
	exitAborted = 130 // a second signal ended the process at once
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

// exit shows how a command ended, without secrets of the project file, and returns its exit code.
func (a *App) exit(err error) int {
	if err == nil {
		return exitOK
	}
	code := exitFailed
	var exit *exitError
	var config *project.Error
	switch {
	case errors.As(err, &exit):
		code = exit.code
		if exit.err == nil {
			return code
		}
	case errors.As(err, &config):
		code = exitUsage
	}
	text := strings.TrimRight(err.Error(), "\n")
	if lines := client.LastLines(err); len(lines) > 0 {
		text += "\nthe program's last lines:\n    " + strings.Join(lines, "\n    ")
	}
	if a.cfg != nil {
		text = a.cfg.Redact(text)
	}
	if a.jsonErr != nil {
		inJSON(a.jsonErr, text)
		return code
	}
	fmt.Fprintf(a.Err, "openmas: %s\n", text)
	return code
}
