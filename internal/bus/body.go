package bus

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/openmas/openmas/agent"
)

// resumed is the payload of a call that brings the input which an earlier result was waiting for.
type resumed struct {
	Input  json.RawMessage            `json:"input,omitempty"`
	Inputs map[string]json.RawMessage `json:"inputs,omitempty"`
	State  string                     `json:"state,omitempty"`
}

// CallBody is the payload of a call and what it is.
func CallBody(c *agent.Call) (payload []byte, body string, err error) {
	if len(c.Inputs) == 0 && c.State == "" {
		return c.Input, "", nil
	}
	payload, err = json.Marshal(resumed{c.Input, c.Inputs, c.State})
	return payload, BodyResumed, err
}

// ReadCallBody is the way back.
func ReadCallBody(f *Frame, c *agent.Call) error {
	switch f.Body {
	case "":
		if len(f.Payload) > 0 {
			c.Input = f.Payload
		}
		return nil
	case BodyResumed:
		var r resumed
		if err := json.Unmarshal(f.Payload, &r); err != nil {
			return fmt.Errorf("a malformed message: the payload: %w", err)
		}
		c.Input, c.Inputs, c.State = r.Input, r.Inputs, r.State
		return nil
	}
	return fmt.Errorf("a malformed message: a call with body %.40q", f.Body)
}

// ResultBody is the payload for what a call gave. A result that does not encode becomes an error.
func ResultBody(res *agent.Result, err error) (payload []byte, body string) {
	if err != nil {
		return ErrorBody(agent.AsError(err))
	}
	if res == nil {
		res = &agent.Result{}
	}
	if len(res.Structured) > 0 && len(res.Content) == 0 && res.Pending == nil && len(res.Meta) == 0 &&
		json.Valid(res.Structured) {
		return res.Structured, BodyStructured
	}
	b, merr := json.Marshal(res)
	if merr != nil {
		return ErrorBody(agent.Errorf(agent.CodeInternal, "the result does not encode: %w", merr))
	}
	return b, BodyResult
}

func ErrorBody(e *agent.Error) (payload []byte, body string) {
	b, err := json.Marshal(e)
	if err != nil { // only details can fail
		plain := *e
		plain.Details = nil
		b, _ = json.Marshal(&plain)
	}
	return b, BodyError
}

// Shortened is e as small as it gets: without details, the message cut.
func Shortened(e *agent.Error) *agent.Error {
	short := *e
	short.Details = nil
	if len(short.Message) > 1000 {
		short.Message = strings.ToValidUTF8(short.Message[:1000], "") + " ..."
	}
	return &short
}

// ReadResult is what a reply says.
func ReadResult(payload []byte, body string) (*agent.Result, error) {
	switch body {
	case BodyStructured:
		return &agent.Result{Structured: payload}, nil
	case BodyResult:
		var res agent.Result
		if err := json.Unmarshal(payload, &res); err != nil {
			return nil, agent.Errorf(agent.CodeInternal, "a malformed reply: %w", err)
		}
		return &res, nil
	case BodyError:
		return nil, ReadError(payload)
	}
	return nil, agent.Errorf(agent.CodeInternal, "a malformed reply: its body is %.40q", body)
}

func ReadError(payload []byte) *agent.Error {
	var e agent.Error
	if err := json.Unmarshal(payload, &e); err != nil {
		return agent.Errorf(agent.CodeInternal, "a malformed reply: %w", err)
	}
	return &e
}
