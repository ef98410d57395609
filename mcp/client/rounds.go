package client

import (
	"context"
	"encoding/json"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// A server of protocol 2026-07-28 that wants a call again, but nothing for it, sheds load: the call
// is repeated maxBusy times.
const maxBusy = 3

var busyWaits = backoff.Policy{Initial: 200 * time.Millisecond, Multiplier: 2, Max: time.Second}

// callInRounds sends a call, and again with the answers as long as the server wants input. That is
// protocol 2026-07-28's way to ask; in the others servers ask while the call waits, and only our
// own may end a call like this, which its caller then repeats.
func (s *Session) callInRounds(ctx context.Context, out request) (*agent.Result, error) {
	if !s.stateless() {
		return s.send(ctx, out)
	}
	out.responses, out.state = out.Inputs, out.State
	for round, sheds := 1, 0; ; round++ {
		res, err := s.send(withInputs(ctx, out.responses), out)
		if err != nil || res.Pending == nil {
			return res, err
		}
		if round == codec.MaxRounds {
			return nil, agent.Errorf(agent.CodeResourceExhausted, "%s asked for input %d times", out.Target(),
				codec.MaxRounds)
		}
		out.responses, out.state = nil, res.Pending.State
		if len(res.Pending.Requests) == 0 {
			if sheds++; sheds > maxBusy {
				return nil, agent.Errorf(agent.CodeUnavailable, "%s: the server is busy", out.Target())
			}
			if backoff.Sleep(ctx, busyWaits.Wait(sheds)) != nil {
				return nil, ctx.Err()
			}
			continue
		}
		answers, err := codec.CollectInputs(ctx, roundsBack{s, out.Back}, res.Pending)
		if err != nil {
			return nil, agent.AsError(err)
		}
		out.responses = answers
	}
}

// roundsBack answers a server: whoever made the call does, or else the session's owner.
type roundsBack struct {
	s    *Session
	back agent.BackChannel // nil: the caller answers nothing
}

// Notify implements [agent.BackChannel].
func (roundsBack) Notify(context.Context, agent.Notice) {}

// Request implements [agent.BackChannel].
func (a roundsBack) Request(ctx context.Context, r agent.Request) (json.RawMessage, error) {
	r.Params, _ = codec.ReadQuestion(r.Params)
	return a.s.askOr(ctx, a.back, r)
}

type inputsKey struct{}

// withInputs makes a request that is sent with the context carry answers to questions.
func withInputs(ctx context.Context, in map[string]json.RawMessage) context.Context {
	if len(in) == 0 {
		return ctx
	}
	return context.WithValue(ctx, inputsKey{}, in)
}

// sendInputs is the SDK's middleware for that: its own types would lose what they do not know of an
// answer.
func sendInputs(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, r sdk.Request) (sdk.Result, error) {
		in, _ := ctx.Value(inputsKey{}).(map[string]json.RawMessage)
		cs, ok := r.GetSession().(*sdk.ClientSession)
		if in == nil || !ok {
			return next(ctx, method, r)
		}
		params, err := codec.WithInputs(r.GetParams(), in)
		if err != nil {
			return nil, err
		}
		return next(ctx, method, &sdk.ClientRequest[*codec.RawParams]{Session: cs, Params: params})
	}
}
