package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
)

func (a *App) publishCommand() *cobra.Command {
	var p ProjectFlags
	var l LogFlags
	var key string
	c := &cobra.Command{
		Use:        "publish TOPIC [JSON | key=value... | -]",
		SuggestFor: []string{"emit", "send"},
		Short:      "Publish an event",
		Long: `Publish an event to the agents of the project that subscribe to its topic. A project that does not run
yet is started for the event, and stopped when its agents have handled it; so is one whose broker is memory,
which no other process can reach.

The payload is JSON, or key=value pairs (a value that is JSON is taken as JSON, anything else as text), or
- for JSON on standard input.`,
		Example: `  openmas events publish order.placed id=17 customer=Ada`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			payload, err := a.payload(args[1:])
			if err != nil {
				return Usage(err)
			}
			var opts []agent.PublishOption
			if key != "" {
				opts = append(opts, agent.EventKey(key))
			}
			return a.inProject(c.Context(), &p, &l, func(ctx context.Context, r *runtime.Runtime) error {
				if err := agent.Publish(r.Context(ctx), args[0], payload, opts...); err != nil {
					return fmt.Errorf("publish %s: %w", args[0], err)
				}
				return nil
			})
		},
	}
	p.Register(c)
	l.Register(c, "warn")
	c.Flags().StringVar(&key, "key", "", "the event's `KEY`: events with equal keys are handled in order")
	return c
}

// payload reads what an event carries from the command line: any JSON, where a call has an object.
func (a *App) payload(args []string) (json.RawMessage, error) {
	var text []byte
	switch {
	case len(args) == 1 && args[0] == "-":
		b, err := readInput(a.In)
		if err != nil {
			return nil, err
		}
		if text = b; !json.Valid(text) {
			return nil, fmt.Errorf("standard input is not JSON: %.60q", text)
		}
	case len(args) == 1 && json.Valid([]byte(args[0])):
		text = []byte(args[0])
	default:
		return arguments(args, a.In)
	}
	return json.RawMessage(text), nil
}
