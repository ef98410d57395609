package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/internal/crashes"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/internal/crash"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/supervise"
	"github.com/openmas/openmas/runtime/internal/waits"
)

// awaitArrivals waits until the first attempt of the foreign agents among names has ended, or for
// the rest of start.wait. The error is that of one that must come, or of ctx.
func (r *Runtime) awaitArrivals(ctx context.Context, names []string) error {
	patience := time.NewTimer(time.Until(r.patience))
	defer patience.Stop()
	for _, name := range names {
		p := r.now.Load().agents[name]
		if p == nil || p.arrival == nil || !r.hosts(name) {
			continue
		}
		a := p.arrival
		enough := patience.C
		if a.must {
			enough = nil
		}
		select {
		case <-a.tried:
		case err := <-r.fatal:
			return err
		case <-enough:
			patience.Reset(0) // the others are not waited for either
		case <-ctx.Done():
			return r.givenUp(ctx, "")
		}
	}
	select {
	case err := <-r.fatal:
		return err
	default:
		return nil
	}
}

// givenUp is the error of a start whose context has ended: it says what was waited for, of an agent
// or of all when name is empty.
func (r *Runtime) givenUp(ctx context.Context, name string) error {
	if text := r.waits.Of(name); text != "" {
		return fmt.Errorf("start given up (%w) while waiting for %s", context.Cause(ctx), text)
	}
	return fmt.Errorf("start given up: %w", context.Cause(ctx))
}

// Tried waits until the first attempt to start an agent has ended; of all agents when name is
// empty. How it ended is in [Runtime.Status], and in the errors of calls. It is for programs that
// ask when the system is ready, but an agent may still be starting. After 5 s the log says why it
// waits.
func (r *Runtime) Tried(ctx context.Context, name string) error {
	reporting, stop := context.WithCancel(ctx)
	var reporter conc.WaitGroup
	reporter.Go(func() { r.waits.Report(reporting, r.log, name) })
	defer reporter.Wait()
	defer stop()
	for _, p := range r.hosted() {
		if name != "" && p.name != name || p.arrival == nil {
			continue
		}
		select {
		case <-p.arrival.tried:
		case <-ctx.Done():
			return r.givenUp(ctx, name)
		}
	}
	return nil
}

// slotTime is how long a starting process keeps others from starting. One that takes longer mostly
// waits for something else than this machine.
const slotTime = 10 * time.Second

// turn waits until a child process may start: a machine that starts many at once starts none in
// time. done gives the turn to the next.
func (r *Runtime) turn(ctx context.Context, who string) (done func(), err error) {
	defer r.waits.Begin(who, waits.Because(fmt.Sprintf("%d other processes start at the same time (start.parallel)",
		cap(r.turns))), 0, "")()
	select {
	case r.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, r.givenUp(ctx, "")
	}
	release := sync.OnceFunc(func() { <-r.turns })
	timer := time.AfterFunc(slotTime, release)
	return func() {
		timer.Stop()
		release()
	}, nil
}

// failure describes an error in the log, with what the program that failed wrote last where the log
// does not have its lines as they came.
func (r *Runtime) failure(err error) []any {
	lines := client.LastLines(err)
	if len(lines) == 0 || r.log.Enabled(context.Background(), slog.LevelInfo) {
		return []any{"error", err}
	}
	return []any{"error", err, "stderr", strings.Join(lines, "\n")}
}

// crashed keeps a report of what has ended although it should run on: what is process, session or
// runner, and st says why it has ended and what follows. Other states are no crash.
func (r *Runtime) crashed(p planned, instance, what string, st supervise.Status) {
	report, ok := crash.Report(st, r.secrets.Redact)
	if !ok {
		return
	}
	report.Agent, report.Instance, report.What = p.name, instance, what
	if _, err := r.crashes.Add(report); err != nil {
		r.log.Warn("the report of a crash is in no file", "agent", p.name, "instance", instance, "error", err)
	}
}

// crashedAtStart is crashed for a program that has ended before it was ready.
func (r *Runtime) crashedAtStart(p planned, instance string, wait time.Duration, err error) {
	if _, ended := client.ExitCode(err); ended {
		r.crashed(p, instance, crashes.Process, supervise.Status{State: supervise.Restarting, Wait: wait, Err: err})
	}
}

// silenced is crashed for a session to a server that did not answer pings.
func (r *Runtime) silenced(p planned, i *route.Instance, wait time.Duration, err error) {
	if ping := (*client.PingError)(nil); errors.As(err, &ping) {
		r.crashed(p, i.ID, crashes.Session, supervise.Status{State: supervise.Restarting, Wait: wait, Err: err,
			Restarts: int(i.Restarts()) - 1})
	}
}

// failedAgain is failure for the attempt n of several: what has been told is not told again. said
// is what the last attempt said.
func (r *Runtime) failedAgain(said *string, n int, err error) []any {
	text := processNumber.ReplaceAllString(err.Error(), "")
	if n > 1 && text == *said {
		return []any{"error", "as before", "attempt", n}
	}
	*said = text
	return append(r.failure(err), "attempt", n)
}

// processNumber is what differs in the errors of a program that fails in the same way again.
var processNumber = regexp.MustCompile(`\(pid \d+\)`)

// reconnectWaits are those between attempts to reach an agent.
func (p planned) reconnectWaits() backoff.Policy {
	c := p.of.Reconnect
	return backoff.Policy{Initial: c.Initial, Multiplier: c.Multiplier, Max: c.Max, Jitter: reconnectJitter}
}

// reconnectJitter spreads the processes that lost the same server.
const reconnectJitter = 0.2

// resting has a program rest that ends in the same way at each start.
func resting(c *supervise.Crashes, err error) error {
	if e := (*supervise.NotYetError)(nil); errors.As(err, &e) {
		return err
	}
	if _, ended := client.ExitCode(err); !ended {
		return err
	}
	rest := c.Rest(processNumber.ReplaceAllString(err.Error(), ""))
	if rest == 0 {
		return err
	}
	return &supervise.NotYetError{Err: err, Rest: rest}
}

// The exit codes of shells, env and npx for a program that cannot be executed, or is not there.
// Only they know which one that is.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

// missing is the error of a program that cannot be found, by openmas or by what it starts, which is
// not tried again before there is a change: err, if that is another one. before is what there was
// when it was started.
func missing(t client.Target, before client.Sight, err error) error {
	var e *client.ConnectError
	if !errors.As(err, &e) {
		return err
	}
	code, ended := client.ExitCode(err)
	var there func() bool
	switch {
	case e.Reason == client.ReasonNoProgram && t.Find() != nil:
		there = func() bool { return t.Find() == nil }
	case before != nil && ended && (code == exitNotExecutable || code == exitNotFound):
		there = func() bool { return t.Look().MendedSince(before) }
	default:
		return err
	}
	return &supervise.NotYetError{Err: err, Until: func(ctx context.Context) {
		for backoff.Sleep(ctx, programLook) == nil {
			if there() {
				return
			}
		}
	}}
}

// programLook is the time between two looks at whether a program is there by now.
const programLook = time.Second

// awaitRoom waits where a program could not be started since this machine or process has no
// files, processes or memory left, which is not the program's failure. It reports whether to try
// again; else err has another reason, or ctx has ended.
func (r *Runtime) awaitRoom(ctx context.Context, i *route.Instance, rest *backoff.Backoff, err error) bool {
	var e *client.ConnectError
	if !errors.As(err, &e) || e.Reason != client.ReasonExhausted {
		return false
	}
	wait := rest.Next()
	i.DownFor(wait, route.Restarting, err)
	r.log.Warn("agent cannot be started for now, it is tried again", append(r.failure(err), "instance", i.ID, "next",
		wait.Round(time.Millisecond))...)
	return backoff.Sleep(ctx, wait) == nil
}

// shortSession is how long a session has to last for the next one to be made at once. After two in
// a row that did not, the waits between them grow: a server may end each as soon as it has begun.
const shortSession = 5 * time.Second

// awaitProgram waits until a program is there that was not found. It reports whether it is; else
// err has another reason, or ctx has ended.
func (r *Runtime) awaitProgram(ctx context.Context, p planned, i *route.Instance, err error) bool {
	var e *supervise.NotYetError
	if !errors.As(err, &e) || e.Until == nil {
		return false
	}
	i.DownUntil(route.Failed, err)
	r.crashedAtStart(p, i.ID, 0, err)
	r.log.Warn("agent cannot start, it is tried again when its program is there", append(r.failure(err),
		"agent", p.name, "instance", i.ID)...)
	e.Until(ctx)
	return ctx.Err() == nil
}

// mayPark reports whether a process may be ended, since nobody has called it. It may not while
// clients want to know when its resources change.
func (r *Runtime) mayPark(p planned, pool *route.Pool, peer communicator.Peer) bool {
	if r.draining() || p.subscriptions != nil && p.subscriptions.Any() {
		return false
	}
	pool.Learn(peer.Info()) // what it offered last stays listed
	return true
}

// awaitCall starts a process again that is parked, when it is called: also while the system drains,
// for the calls of work in flight.
func (r *Runtime) awaitCall(ctx context.Context, p planned, i *route.Instance, called <-chan struct{},
	dial func(context.Context) (communicator.Peer, error)) (communicator.Peer, error) {
	if ctx.Err() != nil { // while its process ended
		return nil, context.Cause(ctx)
	}
	log := r.log.With("agent", p.name, "instance", i.ID)
	log.Info("an agent is parked: nobody has called it, and the next call starts it", "key",
		"agents."+p.name+".idle_stop", "after", p.cfg.IdleStop)
	select {
	case <-called:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	began := time.Now()
	peer, err := dial(ctx)
	if err != nil {
		now := route.Restarting
		if r.draining() {
			now = route.Stopped // it is not tried again
		}
		i.Down(now, err)
		return nil, err
	}
	log.Info("an agent that was parked is back, since it was called", "after",
		time.Since(began).Round(time.Millisecond))
	return peer, nil
}
