// Package mask takes the secrets of a project out of what leaves the process: a server quotes the
// header that it refuses, a driver the URL that it cannot reach, and an error, a state or a line of
// the log would carry it on.
package mask

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime/project"
)

// Secrets are those of a project: at first what its file has, later what a reload adds. They are
// safe for concurrent use.
type Secrets struct {
	mu     sync.Mutex
	words  []string                            // the latest last
	redact atomic.Pointer[func(string) string] // nil: there are none
}

// maxSecrets bounds those that are remembered: the oldest are forgotten.
const maxSecrets = 4096

// NewSecrets returns those of a project.
func NewSecrets(c *project.Config) *Secrets {
	s := &Secrets{}
	s.Learn(c)
	return s
}

// Learn adds the secrets of a configuration that takes the place of another one, whose secrets stay
// such: what was made with them goes on.
func (c *Secrets) Learn(more *project.Config) {
	c.mu.Lock()
	defer c.mu.Unlock()
	words := more.Secrets()
	c.words = append(slices.DeleteFunc(c.words, func(w string) bool { return slices.Contains(words, w) }), words...)
	c.words = slices.Clone(c.words[max(len(c.words)-maxSecrets, 0):])
	if redact := project.Redactor(c.words); redact != nil {
		c.redact.Store(&redact)
	}
}

// HasSecrets reports whether there is anything to mask.
func (c *Secrets) HasSecrets() bool { return c.redact.Load() != nil }

// Redact returns s with *** for every secret.
func (c *Secrets) Redact(s string) string {
	if redact := c.redact.Load(); redact != nil {
		return (*redact)(s)
	}
	return s
}

// Error returns err as an agent's error whose message, details and raw form have no secret; err
// itself where there is nothing to hide. Causes stay, for errors.Is and errors.As in this process.
func (c *Secrets) Error(err error) error {
	if err == nil || !c.HasSecrets() {
		return err
	}
	var e *agent.Error
	if !errors.As(err, &e) {
		return c.Text(err)
	}
	clean := *agent.AsError(err)
	message, details := c.Redact(clean.Message), c.Redact(string(clean.Details))
	raw, rpc := c.Redact(string(clean.Raw)), c.Redact(string(clean.RPC))
	if message == clean.Message && details == string(clean.Details) && raw == string(clean.Raw) &&
		rpc == string(clean.RPC) {
		return err
	}
	if clean.Raw = json.RawMessage(raw); len(raw) == 0 || !json.Valid(clean.Raw) {
		clean.Raw = nil // the message and the details have what can be told
	}
	if clean.RPC = json.RawMessage(rpc); len(rpc) == 0 || !json.Valid(clean.RPC) {
		clean.RPC = nil
	}
	if clean.Message = message; len(clean.Details) > 0 {
		clean.Details = json.RawMessage(details)
		if !json.Valid(clean.Details) { // the secret looked like a part of a number, say
			clean.Details, _ = json.Marshal(details) // strings always encode
		}
	}
	return &clean
}

// Text returns an error whose text has no secret, and which is err for errors.Is and errors.As; err
// itself where there is nothing to hide.
func (c *Secrets) Text(err error) error {
	if err == nil || !c.HasSecrets() {
		return err
	}
	if text := err.Error(); c.Redact(text) != text {
		return &maskedError{c.Redact(text), err}
	}
	return err
}

type maskedError struct {
	text  string
	cause error
}

func (e *maskedError) Error() string { return e.text }
func (e *maskedError) Unwrap() error { return e.cause }

// Logger is log without the secrets of the project; nil discards.
func (c *Secrets) Logger(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(handler{log.Handler(), c})
}

// A handler is a slog.Handler that masks messages and values. Keys are code.
type handler struct {
	slog.Handler
	cfg *Secrets
}

// Handle implements slog.Handler.
func (m handler) Handle(ctx context.Context, r slog.Record) error {
	if !m.cfg.HasSecrets() {
		return m.Handler.Handle(ctx, r)
	}
	clean := slog.NewRecord(r.Time, r.Level, m.cfg.Redact(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(m.attr(a))
		return true
	})
	return m.Handler.Handle(ctx, clean)
}

// WithAttrs implements slog.Handler.
func (m handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{m.Handler.WithAttrs(m.attrs(attrs)), m.cfg}
}

// WithGroup implements slog.Handler.
func (m handler) WithGroup(name string) slog.Handler {
	return handler{m.Handler.WithGroup(name), m.cfg}
}

func (m handler) attrs(attrs []slog.Attr) []slog.Attr {
	out := slices.Clone(attrs)
	for i := range out {
		out[i] = m.attr(out[i])
	}
	return out
}

func (m handler) attr(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(m.cfg.Redact(a.Value.String()))
	case slog.KindGroup:
		a.Value = slog.GroupValue(m.attrs(a.Value.Group())...)
	case slog.KindAny:
		a.Value = m.value(a.Value.Any())
	}
	return a
}

// value leaves what holds no secret as it is, for the handler to write in its own way; else it is
// text. Handlers write a value as fmt or as JSON does.
func (m handler) value(v any) slog.Value {
	text := fmt.Sprintf("%+v", v)
	switch b := v.(type) {
	case []byte:
		text = string(b)
	case json.RawMessage:
		text = string(b)
	}
	if clean := m.cfg.Redact(text); clean != text {
		return slog.StringValue(clean)
	}
	if b, err := json.Marshal(v); err == nil {
		if text := string(b); m.cfg.Redact(text) != text {
			return slog.StringValue(m.cfg.Redact(text))
		}
	}
	return slog.AnyValue(v)
}
