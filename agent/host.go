package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/openmas/openmas/internal/nearest"
	"github.com/openmas/openmas/internal/stack"
)

// A Host makes an agent callable: it finds the tool, prompt, resource or subscription that a
// [Call] names and runs it. It recovers panics: the caller gets an internal error, the log the
// stack. Immutable after NewHost, safe for concurrent use.
type Host struct {
	env           Env
	results       *Results
	info          Info
	tools         map[string]*Tool
	prompts       map[string]*Prompt
	subscriptions map[string]*Subscription
	byURI         map[string]*Resource
	// templates in the order of their declaration: the first that matches serves.
	templates []*Resource
}

// NewHost makes a Host of the capabilities of the agent that env names. All that is wrong with them
// is in the one error: bad names, schemas that do not compile, two tools of one name.
func NewHost(env Env, caps Capabilities) (*Host, error) {
	h := &Host{env: lend(env), info: Info{Name: env.Name, Description: caps.Description}, tools: map[string]*Tool{},
		prompts:       map[string]*Prompt{},
		subscriptions: map[string]*Subscription{}, byURI: map[string]*Resource{}}
	if h.results = env.Results; h.results == nil {
		h.results = NewResults()
	}
	h.info.Keeper = h.results.id
	errs := []error{CheckAgentName(env.Name)}
	for i := range caps.Tools {
		t := &caps.Tools[i]
		errs = append(errs, keep(h.tools, t.info.Name, "tool", t))
		h.info.Tools = append(h.info.Tools, t.info)
	}
	for i := range caps.Prompts {
		p := &caps.Prompts[i]
		errs = append(errs, keep(h.prompts, p.info.Name, "prompt", p))
		h.info.Prompts = append(h.info.Prompts, p.info)
	}
	for i := range caps.Resources {
		r := &caps.Resources[i]
		errs = append(errs, keep(h.byURI, r.info.Key(), "resource", r))
		h.info.Resources = append(h.info.Resources, r.info)
		if r.match != nil {
			h.templates = append(h.templates, r)
		}
	}
	for i := range caps.Subscriptions {
		s := &caps.Subscriptions[i]
		errs = append(errs, keep(h.subscriptions, s.info.Topic, "subscription", s))
		h.info.Subscriptions = append(h.info.Subscriptions, s.info)
	}
	for _, r := range caps.Requires {
		errs = append(errs, wrapErr(fmt.Sprintf("requirement %q", r), r.Err()))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("agent %q: %w", env.Name, err)
	}
	return h, nil
}

func keep[T interface{ Err() error }](m map[string]T, name, kind string, v T) error {
	err := wrapErr(fmt.Sprintf("%s %q", kind, name), v.Err())
	if _, dup := m[name]; dup {
		err = errors.Join(err, fmt.Errorf("%s %q is declared twice", kind, name))
	}
	m[name] = v
	return err
}

// Info describes the agent. The caller must not change it.
func (h *Host) Info() Info { return h.info }

// Env is the environment that the handlers run with, as an agent may have it: its Directory and
// Publisher act as the agent. What the agent itself is given is this one.
func (h *Host) Env() Env { return h.env }

// Call serves c, whatever c.Agent says: routing was done before. The context of the handler carries
// the agent's [Env] and c. A tool runs once for all calls with one key: see [Call.Key].
func (h *Host) Call(ctx context.Context, c *Call) (*Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, Refusedf(CodeOf(err), "%s: %w before it began", c.Target(), err)
	}
	if c.Key != "" && c.Op == OpTool {
		return h.results.do(ctx, c, h.serve)
	}
	return h.serve(ctx, c)
}

func (h *Host) serve(ctx context.Context, c *Call) (res *Result, err error) {
	ctx = context.WithValue(ctx, frameKey{}, &frame{env: h.env, call: c, back: c.Back})
	defer func() {
		if p := recover(); p != nil {
			why := &panicError{fmt.Sprint(p), stack.OfPanic()}
			failed := Errorf(CodeInternal, "%s panicked: %w", c.Target(), why)
			if log := h.env.log(); log.Enabled(ctx, slog.LevelError) {
				log.ErrorContext(ctx, "panic in a handler", string(c.Op), c.Name, "caller", c.From.String(), "call",
					c.ID,
					"code", failed.Code, "message", failed.Message, "stack", why.stack)
				failed.Logged = true
			}
			res, err = nil, failed
		}
	}()
	switch res, err = h.dispatch(ctx, c); {
	case err != nil:
		return nil, outward(ctx, err)
	case res == nil: // a raw tool or a middleware with nothing to say
		return &Result{}, nil
	}
	return res, nil
}

// A panicError is the cause of the error that a panic becomes.
type panicError struct{ text, stack string }

func (e *panicError) Error() string { return e.text }

// Stack is that of the goroutine that panicked, for traces. It does not cross a wire.
func (e *panicError) Stack() string { return e.stack }

// outward is an error of dispatch as it leaves the agent. What is an [*Error] already keeps its
// evidence: a middleware may refuse a call before its tool.
func outward(ctx context.Context, err error) *Error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return AsError(err)
	}
	return toolError(ctx, err)
}

func (h *Host) dispatch(ctx context.Context, c *Call) (*Result, error) {
	switch c.Op {
	case OpTool:
		if t := h.tools[c.Name]; t != nil {
			return t.handler.Call(ctx, c)
		}
		return nil, h.unknown("tool", c.Name)
	case OpPrompt:
		if p := h.prompts[c.Name]; p != nil {
			return p.handler.Call(ctx, c)
		}
		return nil, h.unknown("prompt", c.Name)
	case OpResource:
		return h.readResource(ctx, c)
	case OpComplete:
		if p := h.prompts[c.Name]; p != nil {
			return complete(ctx, c, p.completes)
		}
		if r := h.byURI[c.Name]; r != nil {
			return complete(ctx, c, r.completes)
		}
		return nil, h.unknown("prompt or resource", c.Name)
	case OpEvent:
		if s := h.subscriptions[c.Name]; s != nil {
			return s.handler.Call(ctx, c)
		}
		return nil, h.unknown("subscription to", c.Name)
	}
	return nil, Refusedf(CodeUnimplemented, "agent %s does not know the operation %q", h.info.Name, c.Op)
}

func (h *Host) readResource(ctx context.Context, c *Call) (*Result, error) {
	r := h.byURI[c.Name]
	var vars map[string]string
	if r == nil || r.match != nil {
		i := slices.IndexFunc(h.templates, func(t *Resource) (ok bool) { vars, ok = t.vars(c.Name); return ok })
		if i < 0 {
			return nil, h.unknown("resource", c.Name)
		}
		r = h.templates[i]
	}
	contents, err := r.read(ctx, c.Name, vars)
	if err != nil {
		return nil, toolError(ctx, err)
	}
	res := &Result{Content: make([]Content, len(contents))}
	for i, rc := range contents {
		if rc.URI == "" {
			rc.URI = c.Name
		}
		if rc.MIMEType == "" {
			rc.MIMEType = r.info.MIMEType
		}
		res.Content[i] = Embed(rc)
	}
	return res, nil
}

func (h *Host) unknown(kind, name string) *Error {
	var known []string
	switch kind {
	case "tool":
		for _, t := range h.info.Tools {
			known = append(known, t.Name)
		}
	case "prompt":
		for _, p := range h.info.Prompts {
			known = append(known, p.Name)
		}
	}
	return Refusedf(CodeNotFound, "agent %s has no %s %q%s", h.info.Name, kind, name, nearest.Meant(name, known))
}
