// Package guard ends the processes that a program has started when the program itself is killed and
// can end nothing any more, and finds those that have left the process group in which they began.
//
// A program has one [Guard]: a small process beside it that holds the end of a pipe. When the pipe
// closes, however that came, the guard kills the process groups that it was told of, and on Linux
// every process that carries a [Mark]: also one that has made itself leader of a session of its
// own. A process that has both left its group and replaced its environment is not found.
//
// Windows has job objects for the same end, and no guard.
package guard

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/internal/backoff"
)

// Options of a [Guard].
type Options struct {
	// Command and Env start a process that calls [Serve] with what it reads on its standard input.
	// Env is all of its environment.
	Command, Env []string
	// Hello is what the process reads first; what follows is for [Serve].
	Hello func(Mark) ([]byte, error)
	// Logger learns when there is no guard.
	Logger *slog.Logger
}

// A Guard is the program's side. Its methods may be called concurrently, and on nil: there is no
// guard then.
type Guard struct {
	opts Options
	mark Mark

	start sync.Once
	tasks sync.WaitGroup
	over  context.Context
	end   context.CancelFunc
	pid   atomic.Int64

	mu     sync.Mutex
	pipe   *os.File // nil: none runs
	groups map[int]bool
}

// New returns a guard. It starts nothing: [Guard.Start] does. The caller closes it.
func New(o Options) *Guard {
	g := &Guard{opts: o, mark: newMark(), groups: map[int]bool{}}
	g.over, g.end = context.WithCancel(context.Background())
	return g
}

type key struct{}

// With gives the context a guard, for the children that are started with it.
func With(ctx context.Context, g *Guard) context.Context { return context.WithValue(ctx, key{}, g) }

// From returns the context's guard; nil: it has none.
func From(ctx context.Context) *Guard {
	g, _ := ctx.Value(key{}).(*Guard)
	return g
}

// Pid is the number of the guard's process; 0: none runs.
func (g *Guard) Pid() int {
	if g == nil {
		return 0
	}
	return int(g.pid.Load())
}

// Mark makes a mark for a child that is about to start.
func (g *Guard) Mark() Mark {
	if g == nil {
		return newMark()
	}
	return g.mark + "." + newMark()
}

// Start starts the process, if that has not happened yet. It does not wait for it: the pipe is
// there, and what is written to it is read.
func (g *Guard) Start() {
	if g != nil && supported {
		g.start.Do(func() { g.tasks.Go(g.keep) })
	}
}

// restarts are the waits before a guard that has ended by itself is started again.
var restarts = backoff.Policy{Initial: 100 * time.Millisecond, Multiplier: 4, Max: time.Minute}

// keep runs the process, again when it ends.
func (g *Guard) keep() {
	waits := backoff.New(restarts)
	for g.over.Err() == nil {
		err := g.run()
		if g.over.Err() != nil {
			return
		}
		wait := waits.Next()
		g.opts.Logger.Warn("the process that ends child processes if this one is killed has ended, it is started again",
			"error", err, "next", wait)
		_ = backoff.Sleep(g.over, wait) // the loop looks
	}
}

// run runs the process until it ends.
func (g *Guard) run() error {
	hello, err := g.opts.Hello(g.mark)
	if err != nil {
		return err
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ours.Close()
	// Not by its program's name: whoever kills all processes of that name means the others.
	cmd := &exec.Cmd{Path: g.opts.Command[0], Args: append([]string{name}, g.opts.Command[1:]...),
		Env: g.opts.Env, Dir: "/", Stdin: theirs, SysProcAttr: detached()}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return err
	}
	g.mu.Lock()
	text := append(hello, '\n')
	for pid := range g.groups {
		text = fmt.Appendf(text, "+%d\n", pid)
	}
	g.pipe = ours
	g.write(text)
	g.pid.Store(int64(cmd.Process.Pid))
	g.mu.Unlock()
	stop := context.AfterFunc(g.over, func() { ours.Close() })
	defer stop()
	err = cmd.Wait()
	g.mu.Lock()
	g.pipe = nil
	g.pid.Store(0)
	g.mu.Unlock()
	return err
}

// writeTimeout bounds a write to a guard that does not read, as one that is suspended.
const writeTimeout = 100 * time.Millisecond

// write is called with mu held. What the guard does not get costs little: marks are found without.
func (g *Guard) write(text []byte) {
	_ = g.pipe.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, _ = g.pipe.Write(text)
}

// Add has the guard kill a process group. It ends with [Guard.Remove].
func (g *Guard) Add(group int) { g.tell(group, true) }

// Remove forgets a group. It is called before the number of its leader can be another's.
func (g *Guard) Remove(group int) { g.tell(group, false) }

func (g *Guard) tell(group int, there bool) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	sign := byte('-')
	if there {
		sign, g.groups[group] = '+', true
	} else {
		delete(g.groups, group)
	}
	if g.pipe != nil {
		g.write(fmt.Appendf(nil, "%c%d\n", sign, group))
	}
}

// closeTime is what the guard may take for its last work, even when ctx has ended.
const closeTime = 5 * time.Second

// Close ends the guard, which kills what children have left. It waits for it, for as long as ctx
// allows and five seconds at least.
func (g *Guard) Close(ctx context.Context) error {
	if g == nil {
		return nil
	}
	g.end()
	least := time.Now().Add(closeTime)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.tasks.Wait()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-ended:
		return nil
	case <-time.After(time.Until(least)):
		if p, err := os.FindProcess(g.Pid()); err == nil && g.Pid() > 0 {
			_ = p.Kill() // it may have ended now
		}
		<-ended
		return fmt.Errorf("the guard of child processes was killed: %w", ctx.Err())
	}
}

// Serve is the guard's process: it reads which groups there are until in ends, and kills them then,
// with all that carry the mark or one that begins with it. It returns when there are none left.
func Serve(mark Mark, in io.Reader) error {
	if mark == "" {
		return fmt.Errorf("a guard needs a mark")
	}
	return serve(mark, in)
}
