package child

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// killLimit is how long a process may take to be gone after SIGKILL, or after its program's end.
// Only a process stuck in the kernel, usually on a dead disk or network share, takes longer.
const killLimit = 10 * time.Second

// ErrKilled means that a process did not end when it was asked to.
var ErrKilled = errors.New("did not end when asked to and was killed")

// Stop ends the process and its group: stdin is closed, after Grace.Stdin comes SIGTERM, after
// Grace.Term SIGKILL. When ctx ends, SIGKILL comes at once. Stop returns when Done is closed. Its
// error is nil if the process ended before it had to be killed, whatever its exit code, or had
// ended already; else it is [ErrKilled].
//
// Stop may be called often and concurrently: the stages run once, and the first ctx that ends
// brings SIGKILL.
//
// On Windows CTRL_BREAK stands for SIGTERM.
func (p *Process) Stop(ctx context.Context) error {
	p.stopOnce.Do(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.ended {
			p.stopped = true
			p.stages.Go(p.stopInStages)
		}
	})
	select {
	case <-p.done:
	case <-ctx.Done():
		p.Kill()
	case <-p.killed:
	}
	if !await(killLimit, nil, p.done) {
		return fmt.Errorf("%s is still there %v after it was killed", p, killLimit)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.forced {
		return fmt.Errorf("%s %w", p, ErrKilled)
	}
	return nil
}

func (p *Process) stopInStages() {
	if p.stdin != nil {
		p.stdin.Close() // fails if the protocol has closed it already
		if await(p.grace.Stdin, p.killed, p.exited) {
			return
		}
	}
	p.mu.Lock()
	if !p.gone {
		p.urged = p.urged || !p.ended
		p.group.terminate()
	}
	p.mu.Unlock()
	if !await(p.grace.Term, p.killed, p.exited) {
		p.Kill()
	}
}

// StopSignal is the last signal that was sent to end the process while it ran: SIGTERM or SIGKILL;
// empty: none was.
func (p *Process) StopSignal() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.forced:
		return "SIGKILL"
	case p.urged:
		return "SIGTERM"
	}
	return ""
}

// Kill sends SIGKILL to the process and its group at once and does not wait for Done. It works on a
// stopped (SIGSTOP) process too. It does nothing when the process is gone.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.killing {
		p.killing = true
		close(p.killed)
	}
	if p.gone {
		return
	}
	if !p.ended {
		p.stopped, p.forced = true, true
	}
	p.group.kill()
}

// AwaitExit waits until the program has ended, no longer than limit, and then for Done, which takes
// a moment, and longer while something that the program has started holds its pipes. nil: it still
// runs.
func (p *Process) AwaitExit(limit time.Duration) *ExitError {
	if !await(limit, nil, p.exited) || !await(killLimit, nil, p.done) {
		return nil
	}
	return p.exit
}
