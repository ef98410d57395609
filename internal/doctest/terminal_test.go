package doctest

import (
	"errors"
	"os"
	"os/exec"
	"time"

	"github.com/openmas/openmas/internal/testkit"
)

// running is a command on a terminal of its own.
type running struct {
	terminal *os.File // our end of it
	process  *os.Process
	ended    chan struct{}
	err      error // of the command, once ended

	out testkit.Buffer
}

func startOnTerminal(cmd *exec.Cmd) (*running, error) {
	ours, theirs, err := testkit.OpenTerminal()
	if err != nil {
		return nil, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = theirs, theirs, theirs, onTerminal()
	err = cmd.Start()
	if closeErr := theirs.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	r := &running{terminal: ours, process: cmd.Process, ended: make(chan struct{})}
	read := make(chan struct{})
	go func() {
		defer close(read)
		testkit.CopyShown(&r.out, ours) // until the last program on it has ended
	}()
	go func() {
		defer close(r.ended)
		r.err = cmd.Wait()
		<-read
		_ = ours.Close() // nothing is written any more
	}()
	return r, nil
}

func (r *running) output() string { return r.out.String() }

// wait reports whether the command has ended, for at most d.
func (r *running) wait(d time.Duration) bool {
	select {
	case <-r.ended:
		return true
	case <-time.After(d):
		return false
	}
}

// interrupt types Ctrl-C.
func (r *running) interrupt() error {
	if r.wait(0) {
		return nil
	}
	_, err := r.terminal.Write([]byte{3})
	return err
}

func (r *running) kill() {
	if !r.wait(0) {
		killSession(r.process) // all of it, or the terminal stays open
		<-r.ended
	}
}
