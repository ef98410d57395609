package pubsub

import (
	"errors"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/bus"
)

// What follows the ref in the tokens of requests that are not calls.
const (
	beatToken  = "!"
	probeToken = "!!"
)

// A watcher sends the heartbeats of the calls that are served here, and ends the calls to others
// that have missed theirs or cannot have an answer any more.
type watcher struct {
	*link
	bindings func() []*binding // those that have calls, or may get some
}

// onTick does what is due, and reports whether there is more to come.
func (w *watcher) onTick(now int64) bool {
	probes, more := w.pending.finishLost(now, reply{err: errNoHeartbeat})
	for _, p := range probes {
		f := bus.Frame{Kind: bus.KindHeartbeat, Ref: p.ref, Agent: p.agent}
		err := w.request(w.ctx, w.subjects.Control(p.agent), p.ref+probeToken, &f, 0)
		if errors.Is(err, ErrNoSubscribers) {
			w.noSubscribers(p.ref + probeToken)
		}
	}
	for _, b := range w.bindings() {
		due, left := b.calls.due(now)
		more = more || left
		for _, a := range due {
			f := bus.Frame{Kind: bus.KindHeartbeat, Ref: a.ref, Agent: b.name}
			switch err := w.request(w.ctx, a.replyTo, a.ref+beatToken, &f, 0); {
			case errors.Is(err, ErrNoSubscribers):
				b.cancelCall(a.ref)
			case err != nil:
				w.log.Debug("a heartbeat was not sent", "agent", b.name, "ref", a.ref, "error", err)
			}
		}
	}
	return more
}

// receive takes the heartbeat of a call. When this process does not wait for the call any more, the
// callee does not know that yet: it gets a cancellation.
func (w *watcher) receive(f *bus.Frame) {
	if !w.pending.heartbeat(f.Ref, w.clock.now()) && agent.CheckAgentName(f.Agent) == nil {
		w.sendCancel(f.Agent, f.Ref)
	}
}

var errNoHeartbeat = agent.Errorf(agent.CodeOutcomeUnknown, "no heartbeat: the process that got the call is gone")

// noSubscribers is called for a request without subscribers: a call that did not arrive, a probe
// for one that did, or the heartbeat of one whose caller is gone.
func (w *watcher) noSubscribers(token string) {
	ref, isProbe := strings.CutSuffix(token, probeToken)
	ref, isBeat := strings.CutSuffix(ref, beatToken)
	switch {
	case isProbe:
		w.pending.finish(ref, reply{err: errNoHeartbeat}, w.clock.now())
	case isBeat:
		for _, b := range w.bindings() {
			b.cancelCall(ref)
		}
	default:
		w.pending.finish(ref, reply{err: agent.Refusedf(agent.CodeUnavailable, "no instance of the agent listens")},
			w.clock.now())
	}
}

// connectionLost ends all pending calls: their replies may be lost with the connection.
func (w *watcher) connectionLost(err error) {
	w.pending.finishAll(reply{err: agent.Errorf(agent.CodeOutcomeUnknown, "the connection to the broker was lost: %w",
		err)})
}
