package runtime

import (
	"math"
	"reflect"
	"testing"

	"github.com/openmas/openmas/communicator/nats"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/project"
)

// TestLimitsAreHandedOn: what the project file sets for the gateway counts, and not what package
// server would do by itself.
func TestLimitsAreHandedOn(t *testing.T) {
	all := project.MCP{MaxBody: 1, MaxFrame: 2, MaxSessions: 3, MaxCalls: 4, MaxSessionCalls: 5, SessionIdle: 6,
		SessionLifetime: 7, HeaderTimeout: 8, ReadTimeout: 9, WriteTimeout: 10, CommentInterval: 11, Linger: 12,
		Resume: 13,
		Poll:   14}
	limits := reflect.ValueOf(gatewayLimits(all))
	seen := map[int64]string{}
	for i := range limits.NumField() {
		name, value := limits.Type().Field(i).Name, limits.Field(i).Int()
		if value == 0 || seen[value] != "" {
			t.Errorf("%s is %d, as %q is", name, value, seen[value])
		}
		seen[value] = name
	}

	r := &Runtime{cfg: &project.Config{MCP: project.MCP{PingInterval: 15}}}
	if every := r.connectOptions(planned{}).PingInterval; every != 15 {
		t.Errorf("a ping every %d", every)
	}

	off := gatewayLimits(project.MCP{SessionIdle: project.Off, SessionLifetime: project.Off,
		CommentInterval: project.Off,
		Resume:          project.Off, Poll: project.Off})
	if off.Idle != math.MaxInt64 || off.Lifetime != 0 || off.CommentInterval != math.MaxInt64 || off.Resume != 0 ||
		off.Poll != 0 {
		t.Errorf("what is off: %+v", off)
	}
}

// TestDefaultsAgree: what the project file has by default is what each package does by itself.
func TestDefaultsAgree(t *testing.T) {
	c, err := (&project.Config{Agents: map[string]project.Agent{"a": {Type: "a"}},
		Events: map[string]project.Event{"t": {}}}).Complete()
	if err != nil {
		t.Fatal(err)
	}
	client, durable := client.Options{}.WithDefaults(), nats.DurableOptions{}.WithDefaults()
	for key, d := range map[string][2]any{
		"mcp":               {gatewayLimits(c.MCP), server.Limits{}.WithDefaults()},
		"mcp.max_body":      {int(c.MCP.MaxBody), client.MaxBody},
		"mcp.max_frame":     {int(c.MCP.MaxFrame), client.MaxFrame},
		"mcp.ping_interval": {c.MCP.PingInterval, client.PingInterval},
		"connect.timeout":   {c.Connect.Timeout, client.HandshakeTimeout},
		"child.stdin_wait":  {c.Child.StdinWait, client.StdinGrace},
		"child.term_wait":   {c.Child.TermWait, client.TermGrace},
		"events.*.attempts": {c.Events["t"].Attempts, durable.Attempts},
		"events.*.backoff":  {c.Events["t"].Backoff, durable.Backoff},
		"timeout":           {project.Default().Defaults.Timeout, calls.DefaultTimeout},
	} {
		if d[0] != d[1] {
			t.Errorf("%s is %v by default, and by itself %v", key, d[0], d[1])
		}
	}
}
