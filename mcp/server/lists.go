package server

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/server/internal/catalog"
	"github.com/openmas/openmas/mcp/server/internal/held"
)

type endpointConfig struct {
	Options
	agent        string
	open         bool
	caller       agent.Caller
	gate         *calls.Gate
	title        string
	instructions string
	experimental map[string]any
	watch        func(ctx context.Context, agent, uri string) error
	readable     func(agent string) bool
	down         func(agent, name string) error
}

// soleEndpoint is that of one agent.
func soleEndpoint(o Options, info agent.Info, caller agent.Caller, gate *calls.Gate,
	watch func(ctx context.Context, agent, uri string) error) *endpoint {
	o.Version = cmp.Or(info.Version, o.Version)
	return newEndpoint(endpointConfig{Options: o, agent: info.Name, caller: caller, gate: gate, title: info.Name,
		instructions: info.Description,
		experimental: codec.ToExperimental(info), watch: watch}, []agent.Info{info})
}

func newEndpoint(c endpointConfig, agents []agent.Info) *endpoint {
	e := &endpoint{o: c.Options, agent: c.agent, open: c.open, caller: c.caller, gate: c.gate,
		name: catalog.GatewayNames, watch: c.watch, readable: c.readable, down: c.down,
		held: held.New(&c.Process.places, c.Process.sealer)}
	if c.agent != "" {
		e.name = catalog.BareNames
	}
	e.self = &sdk.Implementation{Name: c.title, Version: c.Version}
	e.selfJSON, _ = json.Marshal(e.self) // strings: cannot fail
	e.server = sdk.NewServer(e.self, &sdk.ServerOptions{
		Instructions: c.instructions,
		Logger:       sdkLog(c.Logger),
		Capabilities: &sdk.ServerCapabilities{
			Logging: &sdk.LoggingCapabilities{}, Completions: &sdk.CompletionCapabilities{},
			Tools:   &sdk.ToolCapabilities{ListChanged: true},
			Prompts: &sdk.PromptCapabilities{ListChanged: true}, Resources: &sdk.ResourceCapabilities{ListChanged: true,
				Subscribe: true},
			Experimental: c.experimental,
		},
		SubscribeHandler: e.subscribe, UnsubscribeHandler: e.unsubscribe,
	})
	e.server.AddReceivingMiddleware(e.receive)
	e.server.AddSendingMiddleware(sendOnPost)
	e.catalog.Store(&catalog.Catalog{})
	e.refresh(agents)
	return e
}

// refresh makes the endpoint offer what the agents offer now. Clients are told when a list has
// changed.
func (e *endpoint) refresh(agents []agent.Info) {
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.catalog.Load()
	now := catalog.New(agents, e.name, old, &e.o.Process.schemas)
	e.catalog.Store(now)
	level := slog.LevelDebug // the gateway of all agents tells
	if e.agent == "" && !e.open {
		level = slog.LevelWarn
	}
	for n := range now.Notes {
		if !old.Notes[n] {
			e.o.Logger.Log(context.Background(), level, "a "+n.Kind+" cannot be offered as it is", "agent", n.Agent,
				"name", n.Name, "reason", n.What)
		}
	}
	for name := range old.Heads {
		if now.Heads[name] == nil {
			e.server.RemoveTools(name)
		}
	}
	for name, schema := range now.Heads {
		if !bytes.Equal(old.Heads[name], schema) {
			addOrWarn(e.o.Logger, "tool", name, func() {
				e.server.AddTool(&sdk.Tool{Name: name, InputSchema: schema}, nil)
			})
		}
	}
	for _, list := range []string{catalog.Tools, catalog.Prompts, catalog.Resources, catalog.Templates} {
		if !old.Lists[list].Equal(now.Lists[list]) {
			announce(e.server, list)
		}
	}
}

// describe is what a gateway tells its clients about its agents.
func describe(agents []agent.Info) string {
	var b strings.Builder
	for _, a := range agents {
		if a.Description != "" {
			fmt.Fprintf(&b, "%s: %s\n", a.Name, a.Description)
		}
	}
	return strings.TrimSpace(b.String())
}
