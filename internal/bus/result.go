package bus

import (
	"encoding/json"
	"strings"

	"github.com/openmas/openmas/agent"
)

// maxErrorText is how many bytes of an error's message go along when the whole error is too large.
const maxErrorText = 1000

// ReplyFrame is the reply to a call, or the answer to a question. A result that does not encode, or
// has more than maxPayload bytes where that is not 0, becomes an error; an error that is too large
// is cut.
func ReplyFrame(kind, ref string, res *agent.Result, err error, maxPayload int) Frame {
	f := Frame{Kind: kind, Ref: ref}
	tooLarge := func(n int) *agent.Error {
		return agent.Errorf(agent.CodeResourceExhausted, "the result has %d bytes, at most %d are allowed", n,
			maxPayload)
	}
	if n := leastSize(res); err == nil && maxPayload > 0 && n > maxPayload { // before it is copied
		f.Payload, f.Body = errorBody(tooLarge(n))
		return f
	}
	f.Payload, f.Body = resultBody(res, err)
	if n := len(f.Payload); maxPayload > 0 && n > maxPayload {
		e := tooLarge(n)
		if err != nil {
			e = shortened(agent.AsError(err))
		}
		f.Payload, f.Body = errorBody(e)
	}
	return f
}

// leastSize is how many bytes a result has at least, however it is encoded.
func leastSize(res *agent.Result) (n int) {
	if res == nil {
		return 0
	}
	for i := range res.Content {
		n += len(res.Content[i].Text) + len(res.Content[i].Data)
	}
	return max(n, len(res.Raw))
}

func resultBody(res *agent.Result, err error) (payload []byte, body string) {
	if err != nil {
		return errorBody(agent.AsError(err))
	}
	if res == nil {
		res = &agent.Result{}
	}
	if len(res.Structured) > 0 && len(res.Content) == 0 && res.Pending == nil && len(res.Meta) == 0 &&
		len(res.Raw) == 0 && json.Valid(res.Structured) {
		return res.Structured, BodyStructured
	}
	if isForeign(res) {
		return res.Raw, BodyMCP
	}
	b, err := Marshal(resultWithRaw{res, res.Raw})
	if err != nil {
		return errorBody(agent.Errorf(agent.CodeInternal, "the result does not encode: %w", err))
	}
	return b, BodyResult
}

func errorBody(e *agent.Error) (payload []byte, body string) {
	b, err := Marshal(e)
	if err != nil { // what it is made of is no JSON
		plain := *e
		plain.Details, plain.Raw, plain.RPC = nil, nil, nil
		b, _ = Marshal(&plain)
	}
	return b, BodyError
}

// shortened is e as small as it gets: without details and raw form, the message cut.
func shortened(e *agent.Error) *agent.Error {
	short := *e
	short.Details, short.Raw, short.RPC = nil, nil, nil
	if len(short.Message) > maxErrorText {
		short.Message = strings.ToValidUTF8(short.Message[:maxErrorText], "") + " ..."
	}
	return &short
}

// ReadResult is the result, or the error, that a reply carries.
func ReadResult(payload []byte, body string) (*agent.Result, error) {
	switch body {
	case BodyStructured:
		return &agent.Result{Structured: payload}, nil
	case BodyResult:
		r := resultWithRaw{Result: &agent.Result{}}
		if err := json.Unmarshal(payload, &r); err != nil {
			return nil, agent.Errorf(agent.CodeInternal, "a malformed reply: %w", err)
		}
		r.Result.Raw = r.Raw
		return r.Result, nil
	case BodyMCP:
		res, err := foreignResult(payload)
		if err != nil {
			return nil, agent.Errorf(agent.CodeInternal, "a malformed reply: %w", err)
		}
		return res, nil
	case BodyError:
		return nil, readError(payload)
	}
	return nil, agent.Errorf(agent.CodeInternal, "a malformed reply: its body is %.40q", body)
}

func readError(payload []byte) *agent.Error {
	var e agent.Error
	if err := json.Unmarshal(payload, &e); err != nil {
		return agent.Errorf(agent.CodeInternal, "a malformed reply: %w", err)
	}
	return &e
}
