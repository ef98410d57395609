package child

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/openmas/openmas/internal/guard"
)

const (
	// orphanGrace is the time between SIGTERM and SIGKILL for the rest of a group whose leader has
	// ended without Stop.
	orphanGrace = time.Second
	// drainGrace bounds how long pipes are read after the whole group has ended: what is in them is
	// read, but a process that left the group may keep them open.
	drainGrace = time.Second
)

// Process is a child that was started. All methods may be called at any time, from any goroutine.
type Process struct {
	name  string
	pid   int
	stdio bool
	grace Grace
	group *group
	guard *guard.Guard
	mark  guard.Mark

	stdin  *os.File        // the parent's ends of the pipes
	stdout *protocolReader // with stdio
	ends   []*os.File      // all of them, to be closed at the end
	pumps  []*pump

	onRest func(Rest)
	log    func(line []byte)
	logMu  sync.Mutex // calls of log and ready.match never overlap
	tail   tail
	ready  readiness

	exited chan struct{} // closed when the leader has ended
	killed chan struct{} // closed by the first Kill
	done   chan struct{} // closed last

	stopOnce sync.Once
	stages   sync.WaitGroup // the goroutine of Stop; started under mu before exited is closed

	mu      sync.Mutex
	ended   bool // the leader has ended
	gone    bool // reaped: its number may belong to somebody else, never signal it again
	killing bool // killed is closed
	stopped bool // Stop or Kill was called while it ran
	urged   bool // SIGTERM was sent while it ran
	forced  bool // SIGKILL was sent while it ran

	exit *ExitError // set before done is closed
}

func newProcess(spec Spec) *Process {
	grace := spec.Grace.WithDefaults()
	p := &Process{
		name:   spec.Command[0],
		stdio:  spec.Stdio,
		log:    spec.Log,
		onRest: spec.OnRest,
		grace:  Grace{Stdin: max(grace.Stdin, 0), Term: max(grace.Term, 0)},
		exited: make(chan struct{}),
		killed: make(chan struct{}),
		done:   make(chan struct{}),
	}
	p.ready.match = spec.Ready
	p.ready.found = make(chan struct{})
	return p
}

// run starts the child and sees it through to its end. It keeps one OS thread for that time: on
// Linux the parent-death signal fires when the thread that started the child ends, and Go ends
// threads as it likes. The thread would be taken anyway, by waiting for the child. hook is called
// when the child has started, and what it returns at its end.
func (p *Process) run(hook func() func() bool, cmd *exec.Cmd, childEnds []*os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	err := p.launch(cmd)
	closeAll(childEnds)
	if err != nil {
		closeAll(p.ends)
		started <- err
		return
	}
	for _, pump := range p.pumps {
		go pump.run()
	}
	defer hook()()
	started <- nil

	// While the leader has ended and is not reaped, no other process can get its number, and the
	// group can be killed safely. Where the platform cannot wait without reaping, the number stays
	// reserved for as long as the group has a member.
	held := awaitExit(p.pid)
	if !held {
		cmd.Wait() //nolint:errcheck // the outcome is in cmd.ProcessState
	}
	// Others of the group may still run: the real server behind a wrapper, a helper. As long as
	// they hold our pipes they have time to end in order.
	p.mu.Lock()
	p.ended = true
	p.group.reaped = !held
	p.group.terminate()
	linger := min(orphanGrace, p.grace.Term)
	if p.stopped {
		linger = p.grace.Term
	}
	p.mu.Unlock()
	close(p.exited)
	p.awaitRest(linger)
	p.mu.Lock()
	p.group.kill()
	p.mu.Unlock()
	p.killStrays()
	p.guard.Remove(p.pid)
	p.mu.Lock()
	if held {
		cmd.Wait() //nolint:errcheck // as above
	}
	p.gone = true
	p.mu.Unlock()

	ended := p.awaitOutput(drainGrace, nil)
	if ended && p.stdout != nil {
		await(drainGrace, nil, p.stdout.ended)
	}
	closeAll(p.ends)
	for _, pump := range p.pumps {
		<-pump.done
	}
	p.stages.Wait()
	p.group.close()
	p.exit = p.outcome(cmd.ProcessState)
	close(p.done)
}

func (p *Process) launch(cmd *exec.Cmd) error {
	group, err := newGroup()
	if err != nil {
		return err
	}
	cmd.SysProcAttr = group.attributes()
	if err := cmd.Start(); err != nil {
		group.close()
		return err
	}
	if err := group.adopt(cmd.Process); err != nil {
		cmd.Process.Kill() //nolint:errcheck // fails if it has ended already
		cmd.Wait()         //nolint:errcheck // the error is that of adopt
		group.close()
		return err
	}
	p.group, p.pid = group, cmd.Process.Pid
	p.guard.Add(p.pid)
	return nil
}

// Strays are processes that the child has started and that have left its group, as a daemon does.
// They carry its mark nevertheless, where the platform lets us see that.

// strayPause is the time between two looks for strays.
const strayPause = 10 * time.Millisecond

// strays signals them and returns how many there are.
func (p *Process) strays(s syscall.Signal) int { return guard.Signal(p.mark, s, p.pid) }

// restQuiet is how long what the child has left behind may take to end without a word.
const restQuiet = 500 * time.Millisecond

// awaitRest gives what the child has left behind time to end: the rest of its group, which has
// SIGTERM already, for as long as it holds our pipes, and strays.
func (p *Process) awaitRest(linger time.Duration) {
	over := time.Now().Add(linger)
	strayed := p.strays(syscall.SIGTERM) > 0
	if quiet := time.Now().Add(restQuiet); p.onRest != nil && quiet.Before(over) {
		if p.restEnds(quiet, &strayed) {
			return
		}
		select {
		case <-p.killed:
			return
		default:
			p.onRest(Rest{guard.Names(p.mark), linger})
		}
	}
	p.restEnds(over, &strayed)
}

// restEnds waits until what the child has left behind has ended, and reports whether it had before
// the time was over and the child was killed.
func (p *Process) restEnds(over time.Time, strayed *bool) bool {
	ended := p.awaitOutput(time.Until(over), p.killed)
	for *strayed && time.Now().Before(over) {
		select {
		case <-p.killed:
			return false
		case <-time.After(strayPause):
		}
		*strayed = p.strays(0) > 0
	}
	return ended && !*strayed
}

// killStrays kills them, and those that they start meanwhile.
func (p *Process) killStrays() {
	for until := time.Now().Add(drainGrace); p.strays(syscall.SIGKILL) > 0 && time.Now().Before(until); {
		<-time.After(strayPause)
	}
}

// awaitOutput waits until nobody holds a pipe that we read ourselves.
func (p *Process) awaitOutput(limit time.Duration, cut <-chan struct{}) bool {
	all := make([]<-chan struct{}, len(p.pumps))
	for i, pump := range p.pumps {
		all[i] = pump.done
	}
	return await(limit, cut, all...)
}

// await waits for all of the channels, and reports whether they were closed before the limit and
// before cut was.
func await(limit time.Duration, cut <-chan struct{}, all ...<-chan struct{}) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for _, c := range all {
		select {
		case <-c:
		case <-cut:
			return false
		case <-timer.C:
			return false
		}
	}
	return true
}

// output is called with what the pumps read.
func (p *Process) output(line []byte, complete bool) {
	p.logMu.Lock()
	defer p.logMu.Unlock()
	p.ready.offer(line, complete)
	if !complete {
		return
	}
	p.tail.add(line)
	if p.log != nil {
		p.log(line)
	}
}

// String is the program and number of the process, without its arguments, which may hold secrets.
func (p *Process) String() string { return fmt.Sprintf("%s (pid %d)", p.name, p.pid) }

// Pid is the process's number, on Unix also the number of its group.
func (p *Process) Pid() int { return p.pid }

// Stdin writes to the child's stdin; nil without Spec.Stdio. It is a pipe: a Write blocks while the
// child does not read, until SetWriteDeadline's time, Close, Stop's first step or the child's end.
func (p *Process) Stdin() *os.File { return p.stdin }

// Stdout reads the child's stdout; nil without Spec.Stdio. Read it to its end (io.EOF), or close
// it: otherwise Done comes a second later, and what was not read by then is lost.
func (p *Process) Stdout() io.ReadCloser {
	if p.stdout == nil {
		return nil
	}
	return p.stdout
}

// Done is closed when the process has ended and was reaped, the rest of its group is dead, its
// output was read and its pipes are closed. No goroutine of the process is left then. Done comes
// within Grace.Term and two seconds of the process's end, even if something that left the group
// keeps a pipe open.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit is how the process ended; nil until Done.
func (p *Process) Exit() *ExitError {
	select {
	case <-p.done:
		return p.exit
	default:
		return nil
	}
}

// Err is nil until Done, and if the process ended with exit code 0. Else it is an [*ExitError].
func (p *Process) Err() error {
	if exit := p.Exit(); exit != nil && !exit.Success() {
		return exit
	}
	return nil
}

// Tail returns the last lines of output so far: at most 20, oldest first, each cut at 500 bytes,
// without control characters.
func (p *Process) Tail() []string { return p.tail.lines() }

// Ready waits until Spec.Ready has recognised a line and returns its value. It does not matter
// whether the line came before or after the call. It fails at once when the process ends first,
// with an [*ExitError], and when ctx ends. What it printed until then is in [Process.Tail].
func (p *Process) Ready(ctx context.Context) (string, error) {
	if p.ready.match == nil {
		return "", nil
	}
	var err error
	select {
	case <-p.ready.found:
		return p.ready.value, nil
	case <-p.done:
		err = fmt.Errorf("not ready: %w", p.exit)
	case <-ctx.Done():
		err = fmt.Errorf("%s did not report that it is ready: %w", p, context.Cause(ctx))
	}
	select {
	case <-p.ready.found: // several were true
		return p.ready.value, nil
	default:
		return "", err
	}
}

func (p *Process) outcome(state *os.ProcessState) *ExitError {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := &ExitError{Name: p.name, Pid: p.pid, Code: -1, Stopped: p.stopped, Tail: p.Tail()}
	if state != nil { // nil when someone else in this program reaped it
		e.Code, e.Signal = state.ExitCode(), signalName(state)
	}
	return e
}

func closeAll(all []*os.File) {
	for _, c := range all {
		c.Close() // pipes: closing twice is fine, and nothing is buffered
	}
}
