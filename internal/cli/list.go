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
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/runtime"
)

func (a *App) listCommand() *cobra.Command {
	var t targetFlags
	var f format
	c := &cobra.Command{
		Use:        "list",
		SuggestFor: []string{"ls", "tools", "agents", "inspect", "discover", "show"},
		Short:      "List what agents offer",
		Long: `List the tools, prompts and resources of the agents of a project, of a running system or any MCP
server (--url), or of a server program (--command). A project that runs on this machine is used as it runs;
one that does not is started for the list, without its Runners and its gateway. A line on standard error
says which.`,
		Args: NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			var found runtime.Listing
			if err := a.withTarget(c.Context(), &t, "", func(ctx context.Context, t target) error {
				err := t.tried(ctx, "")
				var listErr error
				found, listErr = t.list(ctx)
				return errors.Join(err, listErr)
			}); err != nil {
				return err
			}
			for _, all := range found.Instances {
				a.named(all)
			}
			return f.print(a.Out, found, func(w io.Writer) error { return showList(w, found) })
		},
	}
	t.register(c)
	f.register(c, "as JSON, schemas included")
	return c
}

// showList prints a listing: what can be called, by the name to call it with.
func showList(w io.Writer, l runtime.Listing) error {
	out := newTable(w)
	for _, info := range l.Agents {
		prefix := ""
		if info.Name != "" {
			prefix = info.Name + "."
			out.row(info.Name, firstLine(info.Description))
		}
		for _, i := range l.Instances[info.Name] {
			if i.State != runtime.StateReady {
				out.row(fmt.Sprintf("  %s: %s", i.ID, i.State), firstLine(i.Error))
			}
		}
		for _, t := range info.Tools {
			out.row(fmt.Sprintf("  %s%s(%s)", prefix, t.Name, strings.Join(parameters(t.InputSchema), ", ")),
				firstLine(onGateway(l, info.Name, t.Name)+t.Description))
		}
		for _, p := range info.Prompts {
			var names []string
			for _, arg := range p.Arguments {
				names = append(names, optional(arg.Name, arg.Required))
			}
			out.row(fmt.Sprintf("  prompt %s%s(%s)", prefix, p.Name, strings.Join(names, ", ")),
				firstLine(onGateway(l, info.Name, p.Name)+p.Description))
		}
		for _, r := range info.Resources {
			out.row("  resource "+r.Key(), firstLine(r.Description))
		}
		for _, s := range info.Subscriptions {
			out.row("  subscription "+s.Topic, "")
		}
		for _, x := range info.LeftOut {
			out.row(fmt.Sprintf("  left out: %s %s", x.Kind, x.Name), firstLine(x.Reason))
		}
	}
	if err := out.flush(); err != nil {
		return err
	}
	return showInstances(w, l)
}

// onGateway is the name that clients see, where it is not agent_name.
func onGateway(l runtime.Listing, agentName, name string) string {
	if exported, other := l.GatewayNames[agentName][name]; other {
		return "[" + exported + "] "
	}
	return ""
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
	out := newTable(w)
	out.row()
	out.row("INSTANCE", "STATE", "PROCESS", "HOST", "VERSION", "AGE", "IN FLIGHT", "SERVED")
	for _, name := range slices.Sorted(maps.Keys(l.Instances)) {
		for _, i := range l.Instances[name] {
			process, age := cmp.Or(i.Process, "asked"), ""
			if !i.Since.IsZero() {
				age = time.Since(i.Since).Round(time.Second).String()
			}
			out.row(i.ID, stateOf(i), process, i.Host, i.Version, age, i.InFlight, i.Served)
		}
	}
	return out.flush()
}

// stateOf is the state of an instance, and how long its process has not said so again, if that is
// too long.
func stateOf(i runtime.InstanceStatus) string {
	if i.SilentMS == 0 {
		return string(i.State)
	}
	quiet := time.Duration(i.SilentMS) * time.Millisecond
	return fmt.Sprintf("%s, silent %v", i.State, max(quiet.Round(time.Second), time.Second))
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
