package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/runtime"
)

func (a *app) listCommand() *cobra.Command {
	var p projectFlags
	var s server
	var l logging
	var asJSON bool
	c := &cobra.Command{
		Use:   "list [PROJECT]",
		Short: "List what agents offer",
		Long: `List the tools, prompts and resources of the agents of a project (which is started for it, without
its Runners and its gateway), of a running system or any MCP server (--url), or of a server program (--command).`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if s.named() && len(args) > 0 {
				return usage(errors.New("name a project, or --url, or --command: not both"))
			}
			var found runtime.Listing
			if err := a.withTarget(c.Context(), first(args), p, s, l, func(ctx context.Context, t target) error {
				found = t.list()
				return nil
			}); err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.Out, found)
			}
			return showList(a.Out, found)
		},
	}
	p.flags(c)
	s.flags(c)
	l.flags(c, "warn")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON, schemas included")
	return c
}

// showList is the listing for people: what can be called, by the name to call it with.
func showList(w io.Writer, l runtime.Listing) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, info := range l.Agents {
		prefix := ""
		if info.Name != "" {
			prefix = info.Name + "."
			fmt.Fprintf(tw, "%s\t%s\n", info.Name, firstLine(info.Description))
		}
		for _, t := range info.Tools {
			fmt.Fprintf(tw, "  %s%s(%s)\t%s\n", prefix, t.Name, strings.Join(parameters(t.InputSchema), ", "),
				firstLine(t.Description))
		}
		for _, p := range info.Prompts {
			var names []string
			for _, arg := range p.Arguments {
				names = append(names, optional(arg.Name, arg.Required))
			}
			fmt.Fprintf(tw, "  prompt %s%s(%s)\t%s\n", prefix, p.Name, strings.Join(names, ", "),
				firstLine(p.Description))
		}
		for _, r := range info.Resources {
			fmt.Fprintf(tw, "  resource %s\t%s\n", r.Key(), firstLine(r.Description))
		}
		for _, s := range info.Subscriptions {
			fmt.Fprintf(tw, "  subscription %s\t\n", s.Topic)
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	return showInstances(w, l)
}

// showInstances says where the agents of a project are that several processes share.
func showInstances(w io.Writer, l runtime.Listing) error {
	spread := false
	for _, all := range l.Instances {
		spread = spread || slices.ContainsFunc(all, func(i runtime.InstanceStatus) bool { return i.Process != "" })
	}
	if !spread {
		return nil
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\nINSTANCE\tSTATE\tPROCESS\tHOST\tVERSION\tAGE\tIN FLIGHT\tSERVED")
	for _, name := range slices.Sorted(maps.Keys(l.Instances)) {
		for _, i := range l.Instances[name] {
			process, age := cmp.Or(i.Process, "asked"), ""
			if !i.Since.IsZero() {
				age = time.Since(i.Since).Round(time.Second).String()
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\n", i.ID, i.State, process, i.Host, i.Version, age,
				i.InFlight, i.Served)
		}
	}
	return tw.Flush()
}

// parameters are the members of an object schema, those that are required first, otherwise in its
// order (which a schema loses where MCP's peers decode it into a map). Optional ones have a
// question mark.
func parameters(schema json.RawMessage) []string {
	var s struct {
		Properties members  `json:"properties"`
		Required   []string `json:"required"`
	}
	if json.Unmarshal(schema, &s) != nil {
		return nil
	}
	required := map[string]bool{}
	for _, r := range s.Required {
		required[r] = true
	}
	slices.SortStableFunc(s.Properties, func(a, b string) int {
		switch {
		case required[a] == required[b]:
			return 0
		case required[a]:
			return -1
		}
		return 1
	})
	out := make([]string, len(s.Properties))
	for i, name := range s.Properties {
		out[i] = optional(name, required[name])
	}
	return out
}

// members are the keys of a JSON object, in its order.
type members []string

// UnmarshalJSON implements json.Unmarshaler.
func (m *members) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(strings.NewReader(string(b)))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		name, ok := key.(string)
		var skip json.RawMessage
		if err := dec.Decode(&skip); err != nil || !ok {
			return err
		}
		*m = append(*m, name)
	}
	return nil
}

func optional(name string, required bool) string {
	if required {
		return name
	}
	return name + "?"
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
