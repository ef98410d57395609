package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/cli/internal/console"
	"github.com/openmas/openmas/internal/cli/internal/form"
	"github.com/openmas/openmas/internal/logs"
)

// callFlags are what a call is made with.
type callFlags struct {
	target           targetFlags
	ask              askFlags
	format           format
	timeout          time.Duration
	prompt, resource bool
}

func (a *App) callCommand() *cobra.Command {
	var f callFlags
	c := &cobra.Command{
		Use:        "call AGENT.TOOL [JSON | key=value... | -]",
		SuggestFor: []string{"invoke", "exec", "tool", "ask", "chat", "prompt", "read", "get"},
		Short:      "Call a tool and print its result",
		Long: `Call a tool of an agent of a project, of a running system or any MCP server (--url), or of a server
program (--command). A project that runs on this machine is used as it runs; one that does not is started
for the call, without its Runners and its gateway. A line on standard error says which. A plain server's
tool has its bare name. AGENT_TOOL, the name on the gateway, is understood as well. With --prompt it is a
prompt that is filled in; a URI such as notes://today is a resource that is read.

Arguments are one JSON object, or key=value pairs (a value that is JSON is taken as JSON, anything
else as text), or - for JSON on standard input. On a terminal the command asks for those that are
missing, and for what the tool asks while it runs. Ctrl-C cancels the call.`,
		Example: `  openmas call geo.locate city=Bern --url http://127.0.0.1:8765
  openmas call echo '{"message": [1, 2]}' --command 'python3 server.py'
  openmas call --prompt editor.review file=main.go
  openmas call notes://today`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name what to call: openmas call AGENT.TOOL; openmas list shows the agents and tools")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			op, err := f.op(args)
			if err != nil {
				return Usage(err)
			}
			input, err := form.Arguments(args[1:], a.In)
			if op == agent.OpPrompt && err == nil {
				input, err = form.Texts(args[1:], input)
			}
			if err != nil {
				return Usage(err)
			}
			return a.runCall(c.Context(), &f, op, args, input)
		},
	}
	c.ValidArgsFunction = a.completeCall(&f.target, &f.prompt, &f.resource)
	f.target.register(c)
	f.ask.register(c)
	c.Flags().BoolVar(&f.prompt, "prompt", false, "fill in a prompt")
	c.Flags().BoolVar(&f.resource, "resource", false, "read a resource; a URI with :// needs no flag")
	c.Flags().DurationVar(&f.timeout, "timeout", 5*time.Minute, "give up after this `TIME`, the start of what is "+
		"called included, the time for the form not")
	f.format.register(c, "print the whole result as JSON")
	return c
}

// op is what the command line wants of an agent.
func (f *callFlags) op(args []string) (agent.Op, error) {
	resource := f.resource || !f.prompt && strings.Contains(args[0], "://")
	switch {
	case f.timeout <= 0:
		return "", fmt.Errorf("--timeout %v: want a time above 0, such as 30s", f.timeout)
	case f.prompt && f.resource:
		return "", errors.New("--prompt or --resource: one of them")
	case resource && len(args) > 1:
		return "", fmt.Errorf("%q: a resource is read without arguments", args[1])
	case resource:
		return agent.OpResource, nil
	case !strings.ContainsAny(args[0], "._") && !f.target.server.given():
		return "", fmt.Errorf("%s: name the tool as AGENT.TOOL", args[0])
	case f.prompt:
		return agent.OpPrompt, nil
	}
	return agent.OpTool, nil
}

// runCall makes the call, and prints its result. The form is open outside of the timeout: it takes
// as long as somebody needs for it.
func (a *App) runCall(ctx context.Context, f *callFlags, op agent.Op, args []string, input json.RawMessage) error {
	name := args[0]
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	ask, done, err := a.asking(&f.ask, &f.target.log, name, leave)
	if err != nil {
		return err
	}
	defer done()
	f.target.server.visits = true
	over := &overtimeError{f.timeout}
	began := time.Now()
	start := time.AfterFunc(f.timeout, func() { leave(over) })
	defer start.Stop()
	var failed time.Time // when a call that failed was made
	of := ""             // the agent that is called
	if op != agent.OpResource {
		of = name
	}
	err = a.withTarget(ctx, &f.target, of, func(ctx context.Context, t target) error {
		if err := t.tried(ctx, of); err != nil && op != agent.OpResource {
			return timedOut(ctx, err)
		}
		if !start.Stop() {
			return over
		}
		left := f.timeout - time.Since(began)
		input, err := ask.input(ctx, t.describe(ctx, op, name), input)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeoutCause(ctx, left, over)
		defer cancel()
		began := time.Now()
		res, err := t.call(ctx, name, agent.Call{Op: op, Input: input, Back: ask.backChannel()})
		if err != nil {
			ask.cameTo()
			failed = began
			ask.required(err)
			return form.AsText(args[1:], timedOut(ctx, named(name, err)))
		}
		done() // the bar is gone before the result is there
		return f.format.print(a.Out, wholeResult{res, res.Raw}, func(w io.Writer) error { return show(w, op, res) })
	})
	if left := interrupted(ctx, err, name, !failed.IsZero()); left != nil {
		return left
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = timedOut(ctx, err)
	}
	if failed.IsZero() {
		return err
	}
	return a.leading(err, &f.target, op, name, failed) // a system that was started has written its spans
}

// An overtimeError is why a context ended that --timeout has ended.
type overtimeError struct{ after time.Duration }

func (e *overtimeError) Error() string { return fmt.Sprintf("over after %v (--timeout)", e.after) }

// interrupted is the end of a call that somebody at the terminal has ended; nil: nobody has.
func interrupted(ctx context.Context, err error, name string, called bool) error {
	if err == nil || ctx.Err() == nil {
		return nil
	}
	cause, signal := context.Cause(ctx), signalError{}
	if !errors.Is(cause, console.ErrInterrupted) && (!errors.As(cause, &signal) || signal.Signal != os.Interrupt) {
		return nil
	}
	if !called {
		return &exitError{exitAborted, fmt.Errorf("%w: %w", console.ErrInterrupted, errLeft)}
	}
	return &exitError{exitAborted, fmt.Errorf("%s: %w: the call was canceled", name, console.ErrInterrupted)}
}

// timedOut names the timeout in an error that came when it was over, whatever the reason is in the
// error: a system that was started for the call stops with it.
func timedOut(ctx context.Context, err error) error {
	why, over := context.Cause(ctx), (*overtimeError)(nil)
	if !errors.As(why, &over) || strings.Contains(err.Error(), why.Error()) {
		return err
	}
	for _, bare := range []string{context.DeadlineExceeded.Error(), context.Canceled.Error(),
		"not done before the deadline of its caller"} {
		if text, cut := strings.CutSuffix(err.Error(), bare); cut {
			return &lateError{text + "not done in time, " + why.Error(), []error{err, why}}
		}
	}
	return fmt.Errorf("%w (%w)", err, why)
}

// A lateError is an error in better words.
type lateError struct {
	text   string
	causes []error
}

func (e *lateError) Error() string { return e.text }

func (e *lateError) Unwrap() []error { return e.causes }

// named is the error of a call with the name of the tool before it, once. What a tool says of its
// failure in structured content only is the message.
func named(tool string, err error) error {
	if e, ok := err.(*agent.Error); ok { //nolint:errorlint // what wraps an Error has a message of its own
		told := *e
		told.Message = strings.TrimPrefix(e.Message, dotted(tool)+": ")
		if told.Message == "" {
			told.Message = logs.Visible(string(e.Details))
		}
		if code, ok := e.RPCCode(); ok && e.Code == agent.CodeInternal {
			told.Message += fmt.Sprintf(" (the server answered with error %d of JSON-RPC)", code)
		}
		err = &told
	}
	return fmt.Errorf("%s: %w", tool, err)
}

// wholeResult is a result as JSON, with what a foreign server answered, as it came.
type wholeResult struct {
	*agent.Result
	Raw json.RawMessage `json:"raw,omitempty"`
}

// show prints a result for people.
func show(w io.Writer, op agent.Op, res *agent.Result) error {
	switch op {
	case agent.OpPrompt:
		return showPrompt(w, res)
	case agent.OpResource:
		return showResource(w, res)
	}
	return showResult(w, res)
}

// showPrompt prints the messages of a prompt, each below who says it; one of the user alone is its
// text.
func showPrompt(w io.Writer, res *agent.Result) error {
	p, err := res.Prompt()
	if err != nil {
		return err
	}
	for _, m := range p.Messages {
		if len(p.Messages) > 1 || m.Role != agent.RoleUser {
			if _, err := fmt.Fprintf(w, "%s:\n", forPeople(w, m.Role)); err != nil {
				return err
			}
		}
		if err := showResult(w, &agent.Result{Content: []agent.Content{m.Content}}); err != nil {
			return err
		}
	}
	return nil
}

// showResource prints what a resource holds. Where nobody looks at it, bytes come as they are.
func showResource(w io.Writer, res *agent.Result) error {
	if len(res.Content) == 1 && res.Content[0].Resource != nil && !OnTerminal(w) {
		if blob := res.Content[0].Resource.Blob; len(blob) > 0 {
			_, err := w.Write(blob)
			return err
		}
	}
	return showResult(w, res)
}

// showResult prints a result for people.
func showResult(w io.Writer, res *agent.Result) error {
	if len(res.Structured) > 0 &&
		(len(res.Content) == 0 || len(res.Content) == 1 && sameJSON(res.Structured, res.Content[0].Text)) {
		return WriteJSON(w, res.Structured) // a lone block of the same JSON is for clients that know text only
	}
	for _, c := range res.Content {
		var err error
		switch {
		case c.Type == agent.ContentText:
			_, err = fmt.Fprintln(w, forPeople(w, strings.TrimRight(c.Text, "\n")))
		case c.Resource != nil && c.Resource.Text != "":
			_, err = fmt.Fprintln(w, forPeople(w, strings.TrimRight(c.Resource.Text, "\n")))
		default:
			_, err = fmt.Fprintln(w, forPeople(w, fmt.Sprintf("[%s %s%s%s: --json shows it]", c.Type, c.MIMEType, c.URI,
				size(c))))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sameJSON reports whether text is JSON for the same value. Some servers wrap the value in an
// object, but not in the text.
func sameJSON(value json.RawMessage, text string) bool {
	var a, b any
	return json.Unmarshal(value, &a) == nil && json.Unmarshal([]byte(text), &b) == nil && reflect.DeepEqual(a, b)
}

func size(c agent.Content) string {
	n := len(c.Data)
	if c.Resource != nil {
		n = len(c.Resource.Blob)
	}
	return fmt.Sprintf(" %d bytes", n)
}
