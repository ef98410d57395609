package agent

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strconv"
)

// An Op says what a call wants of an agent.
type Op string

// The operations. They are those of MCP, and the delivery of an event.
const (
	OpTool Op = "tool" // Name: a tool. Input: its arguments, an object.
	// Name: a prompt. Input: its arguments, an object of strings. Result: see [Result.Prompt].
	OpPrompt   Op = "prompt"
	OpResource Op = "resource" // Name: a URI. Result: blocks of type resource.
	// Name: a prompt or a resource template's URI. Input: [CompleteRequest]. Result: structured,
	// [Completion].
	OpComplete Op = "complete"
	OpEvent    Op = "event" // Name: a topic. Input: the event's payload, any JSON. Result: empty.
)

// A Call is one request to one agent. The deadline and the cancellation of a call are those of its
// context.
//
// A Call is not changed once it was passed to a [Caller]; whoever needs another one copies it.
type Call struct {
	// ID names the call in logs and on the wires; the same for all attempts at it.
	ID string
	Op Op
	// Agent is the callee, Name what is called there (see [Op]).
	Agent, Name string
	// Input is JSON, or empty for none.
	Input json.RawMessage
	// From says who calls, and for whom. Callees may rely on it: it is set by the runtime, never
	// taken from a stranger.
	From Identity
	// Key is an idempotency key, or empty. Calls of one user and agent with equal keys are the same
	// piece of work for the callee: it runs once, and all get what it gave, within the bounds of
	// [KeyedFor] and [MaxKeyed]. With other arguments it is an invalid_argument error. (Of an
	// event, Key is that of [Event].)
	Key string
	// Keeper, if set, is the generation of the callee that alone may run the call, which has a Key:
	// see [Info.Keeper].
	Keeper string
	// Root is the ID of the entry call that this one belongs to: its own, if it is the entry call.
	Root string
	// Path names the agents above this call, the outermost first: the one that made the entry call,
	// if it was one, and each that serves a call of which this is a part. It must not be changed.
	Path []string
	// Depth counts the calls above this one: 0 for an entry call, 1 for one made by its tool, and
	// so on.
	Depth int
	// Budget names what bounds the tree of calls that this one belongs to; empty: nothing does.
	// Only the runtime reads it.
	Budget string
	// Attempt is 1 for the first try or delivery, 2 for the second.
	Attempt int
	// Meta is metadata that travels with the call: trace context (traceparent, tracestate,
	// baggage), request headers of a session. Keys are lower case.
	Meta map[string]string
	// Back leads back to whoever called; nil when there is nobody to ask or tell.
	Back BackChannel
	// Inputs and State answer the [Pending] request of an earlier result: Inputs by the ids of its
	// requests, State as it was given.
	Inputs map[string]json.RawMessage
	State  string
}

// Target is how people write the callee: "agent.tool", or the agent and the URI of a resource.
// Where no agent is named, as on a session to one server, it is the name alone.
func (c *Call) Target() string {
	if c.Agent == "" {
		return c.Name
	}
	return c.Agent + "." + c.Name
}

// A Caller takes a call and answers it. Tools, middleware, directories, communicators and peer
// sessions are Callers, as everything in net/http is a Handler. A Caller may be used concurrently
// unless it says otherwise. The error, if not nil, is or wraps an [*Error] whenever it crossed a
// communicator.
type Caller interface {
	Call(ctx context.Context, c *Call) (*Result, error)
}

// CallerFunc is a function that is a [Caller].
type CallerFunc func(ctx context.Context, c *Call) (*Result, error)

// Call calls f.
func (f CallerFunc) Call(ctx context.Context, c *Call) (*Result, error) { return f(ctx, c) }

// A Middleware wraps a Caller with one concern.
type Middleware func(Caller) Caller

// Chain wraps c with the middlewares; the first is the outermost.
func Chain(c Caller, mw ...Middleware) Caller {
	for i := len(mw) - 1; i >= 0; i-- {
		c = mw[i](c)
	}
	return c
}

// newID gives 64 random bits: enough to tell the calls of a system's lifetime apart in logs and
// correlation maps.
func newID() string { return strconv.FormatUint(rand.Uint64(), 36) }
