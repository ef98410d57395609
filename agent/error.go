package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// A Code says what kind of failure an [Error] is. The codes are those of gRPC and Connect that fit,
// in Connect's spelling, and two of our own.
type Code string

const (
	// CodeInvalidArgument: the input does not fit the schema, whatever the state of the callee.
	CodeInvalidArgument Code = "invalid_argument"
	// CodeNotFound: there is no such agent, tool, prompt or resource.
	CodeNotFound Code = "not_found"
	// CodePermissionDenied: the caller is known and may not.
	CodePermissionDenied Code = "permission_denied"
	// CodeUnauthenticated: the caller did not prove who it is.
	CodeUnauthenticated Code = "unauthenticated"
	// CodeUnavailable: the callee cannot be reached or does not take calls now; later it may.
	CodeUnavailable Code = "unavailable"
	// CodeResourceExhausted: a limit was reached: of size, of calls at once, of depth.
	CodeResourceExhausted Code = "resource_exhausted"
	// CodeDeadlineExceeded: the call's deadline passed.
	CodeDeadlineExceeded Code = "deadline_exceeded"
	// CodeCanceled: the caller gave up.
	CodeCanceled Code = "canceled"
	// CodeUnimplemented: the callee does not know this operation.
	CodeUnimplemented Code = "unimplemented"
	// CodeInternal: a defect: a panic, a broken invariant, a malformed message.
	CodeInternal Code = "internal"
	// CodeToolFailed: the tool ran and said that it failed.
	CodeToolFailed Code = "tool_failed"
	// CodeOutcomeUnknown: the call was sent and no answer came; it may have run.
	CodeOutcomeUnknown Code = "outcome_unknown"
)

// Codes lists every code.
func Codes() []Code {
	return []Code{CodeInvalidArgument, CodeNotFound, CodePermissionDenied, CodeUnauthenticated, CodeUnavailable,
		CodeResourceExhausted,
		CodeDeadlineExceeded, CodeCanceled, CodeUnimplemented, CodeInternal, CodeToolFailed, CodeOutcomeUnknown}
}

// ParseCode returns the code that s spells; what it does not know is internal.
func ParseCode(s string) Code {
	for _, c := range Codes() {
		if string(c) == s {
			return c
		}
	}
	return CodeInternal
}

// Error lets a code be the target of errors.Is: errors.Is(err, agent.CodeNotFound).
func (c Code) Error() string { return string(c) }

// An Error is the only error that crosses a wire, alike on every communicator.
type Error struct {
	Code    Code
	Message string
	// RetryAfter is how long the callee asks to be left alone; 0 when it did not say.
	RetryAfter time.Duration
	// Details is JSON for programs, or empty.
	Details json.RawMessage
	// Raw is the result with isError that a foreign server sent, of which the error was made: it
	// may hold more than a text. It is what is passed on to MCP clients; empty for errors of our
	// own.
	Raw json.RawMessage
	// RPC is the JSON-RPC error that a foreign server answered with, an object with code, message
	// and data, which is in Details too. MCP clients get it as it came: see [Error.RPCCode]. Empty:
	// it was no such error. The error of a tool of ours never carries it.
	RPC json.RawMessage
	// NotExecuted is evidence: the callee certainly did not begin to execute the call, since
	// nothing was sent or it was refused before dispatch. It makes any call safe to repeat. A
	// tool's own error never carries it.
	NotExecuted bool
	// Logged: a log has a line about this failure, in the runtime where it happened. Whoever passes
	// it on need not report it again. The error of a foreign server never carries it.
	Logged bool
	// Trace is where to look for the reason: the W3C traceparent of the span in which the system
	// that the call entered served it, 00-<trace>-<span>-01. Empty: no trace of it is recorded.
	Trace string

	cause error
}

// Errorf makes an Error with a message; %w keeps the cause for errors.Is and errors.As in this
// process.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	cause := errors.Unwrap(err)
	if _, several := err.(interface{ Unwrap() []error }); several {
		cause = err
	}
	return &Error{Code: code, Message: err.Error(), cause: cause}
}

// Refusedf is [Errorf] for a call that was certainly not executed: see [Error.NotExecuted].
func Refusedf(code Code, format string, args ...any) *Error {
	e := Errorf(code, format, args...)
	e.NotExecuted = true
	return e
}

// Error is "code: message".
func (e *Error) Error() string {
	if e.Message == "" {
		return string(e.Code)
	}
	return string(e.Code) + ": " + e.Message
}

// RPCCode is the code of the JSON-RPC error that a foreign server answered with, such as -32042:
// the user has to visit a URL first. ok is false if there was none.
func (e *Error) RPCCode() (code int64, ok bool) {
	var rpc struct {
		Code *int64 `json:"code"`
	}
	if len(e.RPC) == 0 || json.Unmarshal(e.RPC, &rpc) != nil || rpc.Code == nil {
		return 0, false
	}
	return *rpc.Code, true
}

// Unwrap returns the cause, which does not cross a wire.
func (e *Error) Unwrap() error { return e.cause }

// Is matches a [Code], or the context error that the code stands for.
func (e *Error) Is(target error) bool {
	if c, ok := target.(Code); ok {
		return e.Code == c
	}
	switch target {
	case context.DeadlineExceeded:
		return e.Code == CodeDeadlineExceeded
	case context.Canceled:
		return e.Code == CodeCanceled
	}
	return false
}

// CodeOf returns the code of err: that of the [Error] in it, of a context error, or internal. It is
// empty for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}

// AsError translates any error into an [*Error], at the border of a process or a package. An Error
// inside err keeps its code and details and gets err's whole message; so does a bare [Code]; a
// context error becomes deadline_exceeded or canceled; anything else is internal.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Error); ok { //nolint:errorlint // what wraps an Error has a message of its own
		return e
	}
	var e *Error
	var code Code
	switch {
	case errors.As(err, &e):
		out := *e
		out.Message, out.cause = err.Error(), err
		return &out
	case errors.As(err, &code):
		return &Error{Code: ParseCode(string(code)), Message: err.Error(), cause: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: CodeDeadlineExceeded, Message: err.Error(), cause: err}
	case errors.Is(err, context.Canceled):
		return &Error{Code: CodeCanceled, Message: err.Error(), cause: err}
	}
	return &Error{Code: CodeInternal, Message: err.Error(), cause: err}
}

// AsLogged is [AsError] of a failure that a log has a line about: see [Error.Logged].
func AsLogged(err error) *Error {
	e := AsError(err)
	if e == nil || e.Logged {
		return e
	}
	out := *e
	out.Logged, out.cause = true, e
	return &out
}

// wireError is an Error as it crosses a wire. Times are milliseconds.
type wireError struct {
	Code        Code            `json:"code"`
	Message     string          `json:"message,omitempty"`
	RetryAfter  int64           `json:"retryAfter,omitempty"`
	Details     json.RawMessage `json:"details,omitempty"`
	Raw         json.RawMessage `json:"raw,omitempty"`
	RPC         json.RawMessage `json:"rpc,omitempty"`
	NotExecuted bool            `json:"notExecuted,omitempty"`
	Logged      bool            `json:"logged,omitempty"`
	Trace       string          `json:"trace,omitempty"`
}

// MarshalJSON writes {code, message, retryAfter (ms), details, raw, rpc, notExecuted, logged,
// trace}; empty members are left out. Details that are no JSON are written as a string: a defect in
// them must not cost the error itself.
func (e *Error) MarshalJSON() ([]byte, error) {
	details := e.Details
	if len(details) > 0 && !json.Valid(details) {
		details, _ = json.Marshal(string(details)) // a string always encodes
	}
	return marshal(wireError{e.Code, e.Message, e.RetryAfter.Milliseconds(), details, e.Raw, e.RPC,
		e.NotExecuted, e.Logged, e.Trace})
}

// UnmarshalJSON reads what MarshalJSON writes. An unknown code becomes internal.
func (e *Error) UnmarshalJSON(b []byte) error {
	var w wireError
	if err := json.Unmarshal(b, &w); err != nil {
		return fmt.Errorf("decode an error: %w", err)
	}
	wait := min(max(w.RetryAfter, 0), int64(math.MaxInt64/time.Millisecond))
	*e = Error{Code: ParseCode(string(w.Code)), Message: w.Message, RetryAfter: time.Duration(wait) * time.Millisecond,
		Details: w.Details, Raw: w.Raw, RPC: w.RPC, NotExecuted: w.NotExecuted, Logged: w.Logged,
		Trace: w.Trace}
	return nil
}

// toolError is a handler's error as it leaves the agent. It says nothing about NotExecuted: the
// handler ran. What it got from a foreign server is its own error now.
func toolError(ctx context.Context, err error) *Error {
	var e *Error
	var code Code
	switch {
	case errors.As(err, &e), errors.As(err, &code):
		out := AsError(err)
		if out.NotExecuted || len(out.RPC) > 0 {
			ran := *out
			ran.NotExecuted, ran.RPC, ran.cause = false, nil, err
			return &ran
		}
		return out
	case ctx.Err() != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)):
		return AsError(err)
	}
	return Errorf(CodeToolFailed, "%w", err)
}

func wrapErr(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
