package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	concpool "github.com/sourcegraph/conc/pool"

	"github.com/openmas/openmas/mcp/server"
)

// inFlightShare is the part of the drain's time that work in flight may take.
const inFlightShare = 0.8

func share(d time.Duration, of float64) time.Duration { return time.Duration(float64(d) * of) }

// drain stops everything in order, within the time that the config allows:
//
//  1. gateway, operations socket, bus and stdin refuse new work, while calls of work in flight go
//     on; nothing is restarted
//  2. work in flight ends (four fifths of the time); what does not is cut, and still answered
//  3. Runners are cancelled
//  4. agents, sessions, broker and children close, in reverse order of start; telemetry is flushed
//     last
//
// hard ends the context that everything lives in, for what does not end in time.
func (r *Runtime) drain(base context.Context, hard context.CancelFunc) error {
	r.phase.Store("draining")
	began := time.Now()
	limit := r.drainTimeout()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(base), limit)
	defer cancel()
	inFlight, stopWaiting := context.WithTimeout(ctx, share(limit, inFlightShare))
	defer stopWaiting()
	var errs []error
	if r.cluster != nil {
		r.cluster.HandOver(inFlight)
	}
	edges := concpool.New().WithErrors()
	cut := 0
	edges.Go(func() error { return r.reloads.Close(inFlight) })
	edges.Go(func() error {
		err := r.gateway.Load().Drain(inFlight)
		if late := (*server.CutError)(nil); errors.As(err, &late) {
			cut = late.Calls
			return fmt.Errorf("%w (drain.timeout)", err)
		}
		return err
	})
	if r.ops != nil {
		edges.Go(func() error { return r.ops.Drain(inFlight) })
	}
	if err := edges.Wait(); err != nil {
		errs = append(errs, err)
		r.log.Warn("work in flight did not end in time", "error", err)
	}
	if r.cluster != nil {
		if err := r.cluster.AwaitQuiet(inFlight); err != nil {
			errs = append(errs, err)
		}
		r.cluster.AwaitHandOver()
	}
	r.runners.cancel()
	errs = append(errs, r.runners.await(ctx))
	stop := context.AfterFunc(ctx, hard)
	defer stop()
	errs = append(errs, r.closeAll(ctx))
	err := errors.Join(errs...)
	r.log.Info("stopped", "took", time.Since(began).Round(time.Millisecond), "cut", cut)
	return err
}

// closeAll stops what was started.
func (r *Runtime) closeAll(ctx context.Context) error {
	err := r.undo.Run(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.tasks.Wait()
	}()
	select {
	case <-ended:
		return err
	case <-ctx.Done():
		select {
		case <-ended: // what ends with ctx gets a moment
			return err
		case <-time.After(time.Second):
			return errors.Join(err, fmt.Errorf("something does not end although its context has: %w", ctx.Err()))
		}
	}
}
