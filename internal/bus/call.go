package bus

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
)

// maxTimeout bounds the milliseconds that a frame may claim, so that no sum overflows: 34 years.
const maxTimeout = 1 << 40

// resumed is the payload of a call that brings the input which an earlier result asked for.
type resumed struct {
	Input  json.RawMessage            `json:"input,omitempty"`
	Inputs map[string]json.RawMessage `json:"inputs,omitempty"`
	State  string                     `json:"state,omitempty"`
}

// CallFrame is the frame of a call, to which the sender adds ref, reply-to and deadline. It is the
// only place where a call becomes a frame, as [Frame.Call] is the only one for the way back.
func CallFrame(c *agent.Call) (Frame, error) {
	f := Frame{
		Kind: KindCall, Op: string(c.Op), Agent: c.Agent, Name: c.Name, ID: c.ID, Key: c.Key, Keeper: c.Keeper,
		Caller: c.From.Agent, Instance: c.From.Instance, User: c.From.User, Untrusted: !c.From.Trusted,
		Path: calls.JoinPath(c.Path, c.From.Agent),
		Root: calls.WriteRoot(c.Root, c.ID), Depth: c.Depth, Budget: c.Budget,
		Attempt: c.Attempt, Back: c.Back != nil, Meta: c.Meta, Payload: c.Input,
	}
	if len(c.Inputs) == 0 && c.State == "" {
		return f, nil
	}
	var err error
	if f.Payload, err = Marshal(resumed{c.Input, c.Inputs, c.State}); err != nil {
		return Frame{}, fmt.Errorf("encode the input: %w", err)
	}
	f.Body = BodyResumed
	return f, nil
}

// Call is the call of a frame, without its back-channel. A payload that cannot be read is an error.
func (f *Frame) Call() (agent.Call, error) {
	c := agent.Call{
		Op: agent.Op(f.Op), Agent: f.Agent, Name: f.Name, ID: f.ID, Key: f.Key, Keeper: f.Keeper,
		// Who can send to the project's subjects is one of its processes. It passes on calls of
		// others too, whom it does not trust.
		From: agent.Identity{Agent: f.Caller, Instance: f.Instance, User: f.User, Trusted: !f.Untrusted},
		Root: calls.ReadRoot(f.Root, f.ID), Depth: f.Depth, Budget: f.Budget, Attempt: f.Attempt, Meta: f.Meta,
	}
	var ok bool
	if c.Path, ok = calls.SplitPath(f.Path, f.Caller); !ok {
		return c, fmt.Errorf("a malformed message: path is %.40q", f.Path)
	}
	switch f.Body {
	case "":
		if len(f.Payload) > 0 {
			c.Input = f.Payload
		}
	case BodyResumed:
		var r resumed
		if err := json.Unmarshal(f.Payload, &r); err != nil {
			return c, fmt.Errorf("a malformed message: the payload: %w", err)
		}
		c.Input, c.Inputs, c.State = r.Input, r.Inputs, r.State
	default:
		return c, fmt.Errorf("a malformed message: a call with body %.40q", f.Body)
	}
	return c, nil
}

// SetDeadline notes when the frame is sent and when its sender gives up; a zero deadline is never.
func (f *Frame) SetDeadline(now, deadline time.Time) {
	f.Sent = now.UnixMilli()
	if !deadline.IsZero() {
		f.Timeout = int64((deadline.Sub(now) + time.Millisecond - 1) / time.Millisecond)
	}
}

// Deadline is when the caller gives up, by the clock of this host; zero is never. A deadline that
// has passed is an error: the call has waited in the broker. The clocks of two hosts may differ a
// little, so the time of sending only ever shortens the deadline.
func (f *Frame) Deadline(now time.Time) (time.Time, *agent.Error) {
	if f.Timeout <= 0 {
		return time.Time{}, nil
	}
	left := time.Duration(min(f.Timeout, maxTimeout)) * time.Millisecond
	if age := now.Sub(time.UnixMilli(f.Sent)); f.Sent > 0 && age > 0 {
		left -= age
	}
	if left <= 0 {
		return time.Time{}, agent.Refusedf(agent.CodeDeadlineExceeded,
			"it arrived %v after its deadline, or the clocks of the hosts differ", -left)
	}
	return now.Add(left), nil
}
