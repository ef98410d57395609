package cli

import (
	"bytes"
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
)

// maxInput bounds what call reads from its standard input.
const maxInput = 16 << 20

func (a *app) callCommand() *cobra.Command {
	var p projectFlags
	var s server
	var l logging
	var path string
	var asJSON bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "call AGENT.TOOL [JSON | key=value... | -]",
		Short: "Call a tool and print its result",
		Long: `Call a tool of a running system or any MCP server (--url), of a server program (--command), or of a
project, which is started for the call without its Runners and its gateway (--project). A plain
server's tool has its bare name.

Arguments are one JSON object, or key=value pairs (a value that is JSON is taken as JSON, anything
else as text), or - for JSON on standard input.`,
		Example: `  openmas call geo.locate city=Bern --url http://127.0.0.1:8765
  openmas call echo '{"message": [1, 2]}' --command 'python3 server.py'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if s.named() && path != "" {
				return usage(errors.New("--project, --url or --command: one of them"))
			}
			if _, _, ok := agent.SplitName(args[0]); !ok && !s.named() {
				return usage(fmt.Errorf("%s: name the tool as AGENT.TOOL", args[0]))
			}
			input, err := arguments(args[1:], a.In)
			if err != nil {
				return usage(err)
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			return a.withTarget(ctx, path, p, s, l, func(ctx context.Context, t target) error {
				res, err := t.call(ctx, args[0], agent.Call{Input: input, Back: a.backChannel()})
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				return showResult(a.Out, res, asJSON)
			})
		},
	}
	p.flags(c)
	s.flags(c)
	l.flags(c, "warn")
	c.Flags().StringVar(&path, "project", "", "start this project file for the call (default: openmas.yaml, then "+
		"configs/project.yaml)")
	c.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "give up after this long")
	c.Flags().BoolVar(&asJSON, "json", false, "print the whole result as JSON")
	return c
}

// arguments reads the input of a call from the command line.
func arguments(args []string, in io.Reader) (json.RawMessage, error) {
	switch {
	case len(args) == 0:
		return json.RawMessage("{}"), nil
	case len(args) == 1 && args[0] == "-":
		b, err := io.ReadAll(io.LimitReader(in, maxInput+1))
		if err != nil {
			return nil, fmt.Errorf("read the arguments from standard input: %w", err)
		}
		if len(b) > maxInput {
			return nil, fmt.Errorf("the arguments on standard input are over %d bytes", maxInput)
		}
		return object(b)
	case len(args) == 1 && strings.HasPrefix(strings.TrimSpace(args[0]), "{"):
		return object([]byte(args[0]))
	}
	values := map[string]json.RawMessage{}
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%q is neither key=value nor a JSON object", arg)
		}
		if _, dup := values[key]; dup {
			return nil, fmt.Errorf("%q is given twice", key)
		}
		if json.Valid([]byte(value)) {
			values[key] = json.RawMessage(value)
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		values[key] = text
	}
	return json.Marshal(values)
}

func object(b []byte) (json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil || m == nil {
		return nil, fmt.Errorf("the arguments are not a JSON object: %.60q", b)
	}
	return json.RawMessage(bytes.TrimSpace(b)), nil
}

// backChannel shows what a tool tells its caller while it runs. The program at the other end of a
// pipe has no user to ask.
func (a *app) backChannel() agent.BackChannel {
	return agent.BackChannelFuncs{
		OnProgress: func(n agent.ProgressNotice) {
			of := ""
			if n.Total > 0 {
				of = fmt.Sprintf("/%g", n.Total)
			}
			fmt.Fprintf(a.Err, "%g%s %s\n", n.Progress, of, n.Message)
		},
		OnLog: func(n agent.LogNotice) { fmt.Fprintf(a.Err, "%s %s %s\n", n.Level, n.Logger, n.Data) },
	}
}

// showResult prints a result for people, or whole for programs.
func showResult(w io.Writer, res *agent.Result, asJSON bool) error {
	if asJSON {
		return writeJSON(w, res)
	}
	if len(res.Structured) > 0 &&
		(len(res.Content) == 0 || len(res.Content) == 1 && sameJSON(res.Structured, res.Content[0].Text)) {
		return writeJSON(w, res.Structured) // a lone block of the same JSON is for clients that know text only
	}
	for _, c := range res.Content {
		var err error
		switch {
		case c.Type == agent.ContentText:
			_, err = fmt.Fprintln(w, strings.TrimRight(c.Text, "\n"))
		case c.Resource != nil && c.Resource.Text != "":
			_, err = fmt.Fprintln(w, strings.TrimRight(c.Resource.Text, "\n"))
		default:
			_, err = fmt.Fprintf(w, "[%s %s%s%s: --json shows it]\n", c.Type, c.MIMEType, c.URI, size(c))
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
