package main

import (
	"context"
	"errors"
	"os/exec"
	"strings"
)

// why says in one line what git failed at.
func why(err error) string {
	if errors.Is(err, exec.ErrNotFound) {
		return "git is not installed"
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return "no git history (" + firstLine(string(exit.Stderr)) + ")"
	}
	return "no git history (" + err.Error() + ")"
}

func git(ctx context.Context, root string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...).Output()
	return strings.TrimRight(string(out), "\n"), err
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
