package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/openmas/openmas/internal/doctest/transcript"
)

// patience is how long a command may take, builds included.
const patience = 3 * time.Minute

// A player runs the commands of demos.
type player struct {
	root    string
	openmas string   // the program
	path    []string // folders that come first in PATH
	// inspector is the command of the MCP Inspector, instead of npx, which would fetch it.
	inspector []string
}

// commands are those of the console blocks of a document.
func commands(text string) (steps []transcript.Step) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		if lines[i] != "```console" {
			continue
		}
		first := i + 1
		for i = first; i < len(lines) && lines[i] != "```"; i++ {
		}
		steps = append(steps, transcript.Steps(lines[first:i], first+1)...)
	}
	return steps
}

func (p *player) step(ctx context.Context, s transcript.Step) error {
	if s.Err != nil {
		return s.Err
	}
	if s.Interrupt {
		return errors.New("^C: a demo ends by itself, as with openmas run --once")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	argv := s.Args
	switch {
	case argv[0] == "openmas":
		argv = append([]string{p.openmas}, argv[1:]...)
	case len(argv) > 1 && argv[0] == "npx" && argv[1] == "@modelcontextprotocol/inspector":
		argv = append(p.inspector, argv[2:]...)
	case argv[0] != "go":
		return fmt.Errorf("the command %q: it is none of openmas, go and npx", argv[0])
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = p.root
	path := append([]string{filepath.Dir(p.openmas)}, p.path...)
	cmd.Env = append(os.Environ(), "PATH="+strings.Join(append(path, os.Getenv("PATH")),
		string(filepath.ListSeparator)))
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends what it started
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	exit := (*exec.ExitError)(nil)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%q: %w; it printed\n%s\nand to the log\n%s", s.Args, ctx.Err(), &out, tail(log.String()))
	case err != nil && !errors.As(err, &exit):
		return err
	case cmd.ProcessState.ExitCode() != s.Code:
		return fmt.Errorf("%q: exit code %d, and not %d; it printed\n%s\nand to the log\n%s", s.Args,
			cmd.ProcessState.ExitCode(), s.Code, &out, tail(log.String()))
	case !transcript.Matches(s.Prints, strings.ReplaceAll(out.String(), "\r\n", "\n")):
		return fmt.Errorf("%q printed\n%s\nand not\n%s\nIts log:\n%s", s.Args, &out, strings.Join(s.Prints, "\n"),
			tail(log.String()))
	}
	return nil
}

// tail is the end of a log.
func tail(log string) string {
	lines := strings.Split(strings.TrimRight(log, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}
