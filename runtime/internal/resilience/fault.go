package resilience

import (
	"encoding/json"

	"github.com/openmas/openmas/agent"
)

// rpcInternalError is the code of JSON-RPC for what a server did wrong itself.
const rpcInternalError = -32603

// haltedDetails are the details of a [Halted] error.
type haltedDetails struct {
	Stopped bool `json:"stopped"`
}

// Halted marks the error of a call that was refused since somebody has stopped the agent. The mark
// crosses wires.
func Halted(e *agent.Error) *agent.Error {
	out := *e
	out.Details = json.RawMessage(`{"stopped":true}`)
	return &out
}

// isHalted reports whether an error has the mark.
func isHalted(e *agent.Error) bool {
	var d haltedDetails
	return e.Code == agent.CodeUnavailable && e.NotExecuted && len(e.Details) > 0 &&
		json.Unmarshal(e.Details, &d) == nil && d.Stopped
}

// A Fault is what the end of a call says about its callee.
type Fault int

const (
	// Unclear: nothing. The call was not sent, or its caller gave it up.
	Unclear Fault = iota
	// Sound: it works, whatever its answer was.
	Sound
	// Faulty: it did not do what it should.
	Faulty
)

// Judge says what the end of a call says about its callee. patient: the call had all the time that
// its policy gives, so that a deadline is not its caller's doing.
//
//	answered, and every code that is an answer    Sound
//	unavailable, outcome_unknown, internal        Faulty, but for one that is [Halted]: Unclear
//	deadline_exceeded                             Faulty if patient, else Unclear
//	resource_exhausted                            Unclear: it is busy, and says so by itself
//	canceled                                      Unclear
//
// A tool that fails by its own rules (tool_failed) is sound; one that panics (internal) is not. A
// server that answers with an error of JSON-RPC is sound too, unless that is its own "internal
// error": servers use such errors for what clients do wrong.
func Judge(err error, patient bool) Fault {
	if err == nil {
		return Sound
	}
	e := agent.AsError(err)
	if code, ok := e.RPCCode(); ok && code != rpcInternalError {
		return Sound
	}
	if isHalted(e) {
		return Unclear
	}
	switch e.Code {
	case agent.CodeUnavailable, agent.CodeOutcomeUnknown, agent.CodeInternal:
		return Faulty
	case agent.CodeDeadlineExceeded:
		if patient {
			return Faulty
		}
		return Unclear
	case agent.CodeCanceled, agent.CodeResourceExhausted:
		return Unclear
	}
	return Sound
}
