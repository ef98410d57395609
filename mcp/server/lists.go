package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp/internal/codec"
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
}

// pageSize is large: some clients read the first page of a list only, and a page of a thousand is
// still far below the limit of messages.
const pageSize = 1000

// soleEndpoint is that of one agent.
func soleEndpoint(o Options, info agent.Info, caller agent.Caller, gate *calls.Gate,
	watch func(ctx context.Context, agent, uri string) error) *endpoint {
	o.Version = cmp.Or(info.Version, o.Version)
	return newEndpoint(endpointConfig{Options: o, agent: info.Name, caller: caller, gate: gate, title: info.Name,
		instructions: info.Description,
		experimental: codec.ToExperimental(info), watch: watch}, []agent.Info{info})
}

func newEndpoint(c endpointConfig, agents []agent.Info) *endpoint {
	e := &endpoint{o: c.Options, agent: c.agent, open: c.open, caller: c.caller, gate: c.gate, name: gatewayNames,
		watch: c.watch, key: newStateKey()}
	if c.agent != "" {
		e.name = bareNames
	}
	e.self = &sdk.Implementation{Name: c.title, Version: c.Version}
	e.selfJSON, _ = json.Marshal(e.self) // strings: cannot fail
	e.server = sdk.NewServer(e.self, &sdk.ServerOptions{
		Instructions: c.instructions,
		Logger:       slog.New(debugLog{c.Logger.Handler()}),
		Capabilities: &sdk.ServerCapabilities{
			Logging: &sdk.LoggingCapabilities{}, Completions: &sdk.CompletionCapabilities{},
			Tools:   &sdk.ToolCapabilities{ListChanged: true},
			Prompts: &sdk.PromptCapabilities{ListChanged: true}, Resources: &sdk.ResourceCapabilities{ListChanged: true,
				Subscribe: true},
			Experimental: c.experimental,
		},
		PageSize:         pageSize,
		SubscribeHandler: e.subscribe, UnsubscribeHandler: e.unsubscribe,
	})
	e.server.AddReceivingMiddleware(e.receive)
	e.server.AddSendingMiddleware(sendOnPost)
	e.catalog.Store(newCatalog(nil, e.name))
	e.refresh(agents)
	return e
}

// refresh makes the endpoint offer what the agents offer now. Clients are told when a list has
// changed.
func (e *endpoint) refresh(agents []agent.Info) {
	e.mu.Lock()
	defer e.mu.Unlock()
	old, now := e.catalog.Load(), newCatalog(agents, e.name)
	e.catalog.Store(now)
	for n := range now.notes {
		if !old.notes[n] {
			e.o.Logger.Warn("a "+n.kind+" cannot be offered as it is", "agent", n.agent, "name", n.name, "reason",
				n.what)
		}
	}
	diff(old.tools, now.tools, e.server.RemoveTools, func(name string, t tool) {
		addOrWarn(e.o.Logger, "tool", name, func() {
			e.server.AddTool(codec.ToTool(t.info, name),
				func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
					return e.callTool(ctx, req.Session, req.Params)
				})
		})
	})
	diff(old.prompts, now.prompts, e.server.RemovePrompts, func(name string, p prompt) {
		addOrWarn(e.o.Logger, "prompt", name, func() {
			e.server.AddPrompt(codec.ToPrompt(p.info, name),
				func(ctx context.Context, req *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
					return e.getPrompt(ctx, req.Session, req.Params)
				})
		})
	})
	read := func(ctx context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
		return e.readResource(ctx, req.Session, req.Params)
	}
	diff(old.resources, now.resources, func(keys ...string) {
		e.server.RemoveResources(keys...)
		e.server.RemoveResourceTemplates(keys...)
	}, func(key string, r resource) {
		addOrWarn(e.o.Logger, "resource", key, func() {
			if r.info.Template != "" {
				e.server.AddResourceTemplate(codec.ToTemplate(r.info), read)
			} else {
				e.server.AddResource(codec.ToResource(r.info), read)
			}
		})
	})
}

// diff removes what is gone and adds what is new or different.
func diff[V any](old, now map[string]V, remove func(...string), add func(string, V)) {
	var gone []string
	for name := range old {
		if _, ok := now[name]; !ok {
			gone = append(gone, name)
		}
	}
	if len(gone) > 0 {
		remove(gone...)
	}
	for name, v := range now {
		if o, ok := old[name]; !ok || !reflect.DeepEqual(o, v) {
			add(name, v)
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
