package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/logs"
)

func (a *App) callCommand() *cobra.Command {
	var t targetFlags
	var f format
	var timeout time.Duration
	c := &cobra.Command{
		Use:        "call AGENT.TOOL [JSON | key=value... | -]",
		SuggestFor: []string{"invoke", "exec", "tool", "ask", "chat"},
		Short:      "Call a tool and print its result",
		Long: `Call a tool of an agent of a project, of a running system or any MCP server (--url), or of a server
program (--command). A project that runs on this machine is used as it runs; one that does not is started
for the call, without its Runners and its gateway. A line on standard error says which. A plain server's
tool has its bare name. AGENT_TOOL, the name on the gateway, is understood as well.

Arguments are one JSON object, or key=value pairs (a value that is JSON is taken as JSON, anything
else as text), or - for JSON on standard input.`,
		Example: `  openmas call geo.locate city=Bern --url http://127.0.0.1:8765
  openmas call echo '{"message": [1, 2]}' --command 'python3 server.py'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !strings.ContainsAny(args[0], "._") && !t.server.given() {
				return Usage(fmt.Errorf("%s: name the tool as AGENT.TOOL", args[0]))
			}
			if timeout <= 0 {
				return Usage(fmt.Errorf("--timeout %v: want a time above 0, such as 30s", timeout))
			}
			input, err := arguments(args[1:], a.In)
			if err != nil {
				return Usage(err)
			}
			ctx, cancel := context.WithTimeoutCause(c.Context(), timeout,
				fmt.Errorf("over after %v (--timeout)", timeout))
			defer cancel()
			whole := ctx
			var failed time.Time // when a call that failed was made
			err = a.withTarget(ctx, &t, args[0], func(ctx context.Context, t target) error {
				if err := t.tried(ctx, args[0]); err != nil {
					return timedOut(whole, err)
				}
				began := time.Now()
				res, err := t.call(ctx, args[0], agent.Call{Input: input, Back: a.backChannel()})
				if err != nil {
					failed = began
					return asText(args[1:], timedOut(whole, named(args[0], err)))
				}
				return f.print(a.Out, wholeResult{res, res.Raw}, func(w io.Writer) error { return showResult(w, res) })
			})
			if errors.Is(err, context.DeadlineExceeded) {
				err = timedOut(ctx, err)
			}
			if failed.IsZero() {
				return err
			}
			return a.leading(err, &t, args[0], failed) // a system that was started has written its spans
		},
	}
	t.register(c)
	c.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "give up after this `TIME`, the start of what is called "+
		"included")
	f.register(c, "print the whole result as JSON")
	return c
}

// timedOut names the timeout in an error that came when it was over, whatever the reason is in the
// error: a system that was started for the call stops with it.
func timedOut(ctx context.Context, err error) error {
	why := context.Cause(ctx)
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) || strings.Contains(err.Error(), why.Error()) {
		return err
	}
	for _, bare := range []string{context.DeadlineExceeded.Error(), "not done before the deadline of its caller"} {
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

// backChannel shows what a tool reports while it runs. It answers no questions: there may be nobody
// at the terminal.
func (a *App) backChannel() agent.BackChannel {
	return agent.BackChannelFuncs{
		OnProgress: func(n agent.ProgressNotice) {
			of := ""
			if n.Total > 0 {
				of = fmt.Sprintf("/%g", n.Total)
			}
			fmt.Fprintf(a.Err, "%g%s %s\n", n.Progress, of, logs.Visible(n.Message))
		},
		OnLog: func(n agent.LogNotice) {
			fmt.Fprintf(a.Err, "%s %s %s\n", n.Level, logs.Visible(n.Logger), logs.Visible(string(n.Data)))
		},
	}
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
