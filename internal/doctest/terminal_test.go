package doctest

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// errNoTerminal: transcripts cannot be compared here.
var errNoTerminal = errors.New("no terminal can be made here")

// running is a command on a terminal of its own.
type running struct {
	terminal *os.File // our end of it
	process  *os.Process
	ended    chan struct{}
	err      error // of the command, once ended

	mu  sync.Mutex
	out strings.Builder
}

func startOnTerminal(cmd *exec.Cmd) (*running, error) {
	ours, theirs, err := openTerminal()
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
		for b := make([]byte, 4096); ; {
			n, err := ours.Read(b)
			r.mu.Lock()
			r.out.Write(b[:n])
			r.mu.Unlock()
			if err != nil { // the last program on the terminal has ended
				return
			}
		}
	}()
	go func() {
		defer close(r.ended)
		r.err = cmd.Wait()
		<-read
		_ = ours.Close() // nothing is written any more
	}()
	return r, nil
}

func (r *running) output() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

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
