package communicator

import (
	"context"
	"errors"

	"github.com/openmas/openmas/agent"
)

// A Service is an agent as a communicator sees it: something that takes calls and can describe
// itself. [agent.Host] is one.
type Service interface {
	agent.Caller
	// Info describes the agent as it is now. It must be quick; the result must not be changed.
	Info() agent.Info
}

// A Bounded [Service] says how many of its calls may run, and wait, at once. What carries calls
// from several processes to it keeps to that, where one process alone does not see them all.
//
// Bounds is asked for each call.
type Bounded interface {
	Bounds() Bounds
}

// Bounds are how many calls of an agent run at once, and how many wait for one of them to end; 0:
// what the communicator has by itself. More are refused with resource_exhausted. Keys is what sets
// them, for that error.
type Bounds struct {
	MaxInFlight, MaxQueue int
	Keys                  string
}

// A Server offers agents to those who [Dialer.Dial] them.
type Server interface {
	// Serve makes s callable under the name in its Info, and returns once it is. A name that is
	// taken is an error. ctx bounds the set-up only; the Binding ends the service.
	//
	// What reaches s carries the caller's deadline, cancellation, identity, depth, idempotency key,
	// metadata and back-channel.
	Serve(ctx context.Context, s Service) (Binding, error)
}

// A Binding is an agent being served.
type Binding interface {
	// Close refuses new calls with unavailable (not executed), waits for those in flight, and
	// withdraws the agent. When ctx ends first, it cancels what it can and returns an error. Safe
	// to call twice and concurrently.
	Close(ctx context.Context) error
}

// A Dialer reaches agents by name.
type Dialer interface {
	// Dial returns a session to the agent. Where the transport can tell, an agent that is not there
	// is a not_found or unavailable error. ctx bounds the dialling, not the session.
	Dial(ctx context.Context, name string) (Peer, error)
}

// A Peer is a session to an agent. It multiplexes: any number of calls at once.
//
// An error of Call is or wraps an [agent.Error]. Evidence is kept: NotExecuted where nothing was
// sent or the peer refused before dispatch, outcome_unknown where the call was sent and the
// connection ended without an answer.
type Peer interface {
	Service
	// Close ends the session; calls in flight fail. Safe to call twice and concurrently.
	Close(ctx context.Context) error
}

// ErrEnded is in the error of a call that did not run because its session has ended, or is about
// to. The call may be made again on the session that follows.
var ErrEnded = errors.New("the session has ended")

// ErrForgotten is in the error of such a call where the other side does not know the session any
// more.
var ErrForgotten = errors.New("the server does not know the session any more")

// A Communicator is one way for calls to travel, both ends of it. It is safe for concurrent use.
type Communicator interface {
	Server
	Dialer
	// Close ends every binding and session and releases what the communicator holds.
	Close(ctx context.Context) error
}
