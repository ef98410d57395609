package cli

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/openmas/openmas/internal/cgroup"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime"
)

// Main is the main function of a program with p's types: it runs the command of the process's
// arguments, or, in a child process of its own, serves one agent. It returns the exit code. The
// first SIGINT, SIGTERM or SIGHUP stops in order, the second at once with 130; a command may take
// SIGHUP otherwise.
func Main(p Program) int {
	p.Environ, p.isMain, p.hangups = os.Environ(), true, &hangups{}
	if builtIn != "" && len(os.Args) > 0 {
		p.Name = strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	}
	if p.Version == "" {
		p.Version = mainVersion()
	}
	ctx, stop := signals(context.Background(), p.hangups)
	defer stop()
	boundMemory()
	out := os.Stdout
	if os.Getenv(runtime.ChildVar) == "" {
		return Run(ctx, p, os.Args[1:], Streams{In: os.Stdin, Out: out, Err: os.Stderr})
	}
	defer SurviveBrokenPipes()()
	// Standard output is the protocol's alone: a stray print must not corrupt it.
	os.Stdout = os.Stderr
	if err := runtime.ServeChild(ctx, p.Types, os.Stdin, out, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "openmas:", err)
		return exitFailed
	}
	return exitOK
}

// boundMemory has the garbage collector do its best to keep the process within nine tenths of what
// its control group allows: beyond the limit, the kernel kills it. A tenth is left for what the
// collector does not count. GOMEMLIMIT goes before.
func boundMemory() {
	if limit := cgroup.Memory(); limit < math.MaxInt64 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit / 10 * 9)
	}
}

// abortTime is how long the process stays after the second signal, for what its programs have
// started to be killed.
const abortTime = 300 * time.Millisecond

// signals returns a context that ends at the first SIGINT, SIGTERM or SIGHUP, which a closed
// terminal sends. The second kills the programs that were started in it, with all that they have
// started, and ends the process. A SIGHUP that is ignored, as below nohup, stays
// so; one that h takes ends nothing.
func signals(ctx context.Context, h *hangups) (context.Context, func()) {
	abort, kill := context.WithCancel(ctx)
	ctx, cancel := context.WithCancelCause(client.WithAbort(ctx, abort))
	got := make(chan os.Signal, 2)
	signal.Notify(got, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(got, syscall.SIGHUP)
	}
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			select {
			case s := <-got:
				if take := h.take.Load(); take != nil && s == syscall.SIGHUP {
					(*take)()
					n--
					continue
				}
				if n > 0 {
					kill()
					time.AfterFunc(abortTime, func() { os.Exit(exitAborted) })
					<-over
					os.Exit(exitAborted)
				}
				cancel(signalError{s})
			case <-over:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(got)
		close(over)
		<-ended
		cancel(nil)
		kill()
	}
}
