package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp/server/internal/catalog"
)

// GatewayOptions configures a [Gateway].
type GatewayOptions struct {
	Options
	// Project is the system's name, for the health check and the handshake.
	Project string
	// Expose lists what is offered: "agent", or "agent.tool" (a tool or a prompt). Empty:
	// everything.
	Expose []string
	// Hide lists what is offered under the agent's own path only, in the same form.
	Hide []string
	// Watch is asked when a client subscribes to a resource of an agent, which
	// [Gateway.ResourceUpdated] tells of; its error is the client's. nil: all is fine.
	Watch func(ctx context.Context, agent, uri string) error
	// Down says why an agent of which nobody knows yet what it offers takes no calls; nil, or a nil
	// error: it is known. It must be quick.
	Down func(agent string) error
	// Ready says why the system cannot take work; nil, or a nil error: it can. It must be quick.
	Ready func() error
	// OnCut is called when calls in flight have taken longer than [Gateway.Drain] could wait, a
	// moment before they are cancelled. It must be quick. nil: nobody is told.
	OnCut func()
	// Private makes the gateway one for the system's own processes: agents that the directory does
	// not list can be called too, as agent.tool.
	Private bool
}

// A Gateway offers the agents of a directory to MCP clients. It is an http.Handler with
//
//	GET  /                          health, as JSON
//	GET  /livez, /readyz            200, or 503 with the reason
//	GET  /sse, POST /messages/      all agents, HTTP+SSE
//	     /mcp                       all agents, streamable HTTP
//	     /agents/NAME/{sse,messages/,mcp}   one agent, under its own bare tool names
//
// All agents together have the names of [GatewayNames]; agent.tool is understood in calls as well.
// It is safe for concurrent use, and starts nothing before the first request.
type Gateway struct {
	o       GatewayOptions
	dir     agent.Directory
	expose  catalog.Exposure
	hide    catalog.Exposure
	gate    calls.Gate
	http    *httpServer
	handler http.Handler
	all     *endpoint
	drained chan struct{} // closed when sessions are to end
	once    sync.Once

	mu  sync.Mutex
	one map[string]*endpoint // by agent, made when first asked for
}

// NewGateway checks the options and lists what dir offers now.
func NewGateway(dir agent.Directory, o GatewayOptions) (*Gateway, error) {
	o.Options = o.withDefaults()
	g := &Gateway{o: o, dir: dir, expose: catalog.NewExposure(o.Expose), hide: catalog.NewExposure(o.Hide),
		drained: make(chan struct{}), one: map[string]*endpoint{}}
	agents := g.listed()
	var err error
	if g.http, err = newHTTPServer(o.Options); err != nil {
		return nil, err
	}
	g.all = newEndpoint(endpointConfig{Options: o.Options, open: o.Private, caller: dir, gate: &g.gate,
		title:        cmp.Or(o.Project, "openmas"),
		instructions: describe(agents), watch: o.Watch, down: g.down,
		readable: func(name string) bool { return g.expose.Whole(name) && (len(g.hide) == 0 || !g.hide.Whole(name)) },
	}, agents)
	if g.handler, err = o.Guard(g.routes()); err != nil {
		return nil, err
	}
	return g, nil
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.handler.ServeHTTP(w, r) }

// listed is what the endpoint of all agents offers.
func (g *Gateway) listed() []agent.Info {
	infos := g.expose.Filter(g.dir.Agents())
	if len(g.hide) == 0 {
		return infos
	}
	var out []agent.Info
	for _, in := range infos {
		if g.hide.Whole(in.Name) {
			continue
		}
		in.Tools = slices.DeleteFunc(slices.Clone(in.Tools), func(t agent.ToolInfo) bool {
			return g.hide.Member(in.Name, t.Name)
		})
		in.Prompts = slices.DeleteFunc(slices.Clone(in.Prompts), func(p agent.PromptInfo) bool {
			return g.hide.Member(in.Name, p.Name)
		})
		out = append(out, in)
	}
	return out
}

// endpoint is that of one agent; nil when there is no such agent to offer.
func (g *Gateway) endpoint(name string) *endpoint {
	info, ok := g.dir.Agent(name)
	if !ok || !g.expose.Agent(name) {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if ep := g.one[name]; ep != nil {
		return ep
	}
	ep := soleEndpoint(g.o.Options, g.expose.Filter([]agent.Info{info})[0], g.dir, &g.gate, g.o.Watch)
	ep.down, ep.readable = g.down, g.expose.Whole
	g.one[name] = ep
	return ep
}

// down says why what an agent may offer as name cannot be called yet.
func (g *Gateway) down(agentName, name string) error {
	if g.o.Down == nil || !g.expose.Member(agentName, name) {
		return nil
	}
	return g.o.Down(agentName)
}

func (g *Gateway) endpoints() []*endpoint {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append(slices.Collect(maps.Values(g.one)), g.all)
}

// Refresh makes the gateway offer what the directory offers now. Clients whose lists have changed
// are told.
func (g *Gateway) Refresh() {
	g.mu.Lock() // also while listing: of two at the same time, the newer list must count
	defer g.mu.Unlock()
	g.all.refresh(g.listed())
	for name, ep := range g.one {
		if info, ok := g.dir.Agent(name); ok {
			ep.refresh(g.expose.Filter([]agent.Info{info}))
		} else {
			ep.refresh(nil)
		}
	}
}

// Sessions describes the open sessions over HTTP, the oldest first.
func (g *Gateway) Sessions() []SessionInfo {
	return slices.SortedFunc(slices.Values(g.http.describe()), func(a, b SessionInfo) int {
		return a.Opened.Compare(b.Opened)
	})
}

// FastCalls is the number of calls that took the fast path, so far, on sessions of all
// transports.
func (g *Gateway) FastCalls() (n int64) {
	for _, ep := range g.endpoints() {
		n += ep.fastCalls.Load()
	}
	return n
}

// InFlight is the number of calls running now.
func (g *Gateway) InFlight() int { return g.gate.InFlight() }

// ready says why the gateway takes no work; nil if it does.
func (g *Gateway) ready() error {
	g.http.mu.Lock()
	draining := g.http.draining
	g.http.mu.Unlock()
	if draining {
		return errors.New("draining")
	}
	if g.o.Ready != nil {
		return g.o.Ready()
	}
	return nil
}

type healthReport struct {
	Status  string   `json:"status"` // ok, or why not
	Project string   `json:"project,omitempty"`
	Agents  []string `json:"agents,omitempty"`
}

// health tells strangers less than those who are known.
func (g *Gateway) health(w http.ResponseWriter, r *http.Request) {
	h := healthReport{Status: "ok"}
	if err := g.ready(); err != nil {
		h.Status = err.Error()
	}
	if _, err := g.o.identify(r); err == nil {
		h.Project = g.o.Project
		for _, a := range g.expose.Filter(g.dir.Agents()) {
			h.Agents = append(h.Agents, a.Name)
		}
	}
	writeJSON(w, http.StatusOK, h)
}

func (g *Gateway) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := g.ready(); err != nil {
		writeJSON(w, http.StatusServiceUnavailable,
			map[string]string{"status": "not ready", "reason": strings.TrimSpace(err.Error())})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ResourceUpdated tells the clients that subscribed to a resource of an agent that it has changed.
// A resource that the agent does not offer concerns nobody.
func (g *Gateway) ResourceUpdated(ctx context.Context, agentName, uri string) {
	g.all.updated(ctx, agentName, uri)
	g.mu.Lock()
	one := g.one[agentName]
	g.mu.Unlock()
	if one != nil {
		one.updated(ctx, agentName, uri)
	}
}

// GatewayNames are the names of an agent's tools, or of its prompts, where many agents are offered
// together: one for each of names, in their order, all of them different and none longer than 64
// characters.
//
// A name is agent_tool. Agent names have no underscore, so the first one separates. Characters
// other than [a-zA-Z0-9_-] become _. A name that would be too long, has other characters than those
// of ASCII, or would be that of another tool as well, ends in a hash of the original. Which
// names get one follows from the set of names alone: every start gives the same, in whatever order
// a server lists its tools.
func GatewayNames(agentName string, names []string) []string {
	out := make([]string, len(names))
	for i, n := range catalog.GatewayNames(agentName, names) {
		out[i] = n.Exported
	}
	return out
}

// Exposed are agents as a gateway offers them whose GatewayOptions.Expose is expose.
func Exposed(expose []string, agents []agent.Info) []agent.Info {
	return catalog.NewExposure(expose).Filter(agents)
}

// routes are the paths of a gateway: its health, and for all agents together and for each of them
// the transports of MCP. The endpoints stand in package mcp.
func (g *Gateway) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", g.health)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", g.readyz)
	for _, at := range endpoints {
		serveAll := func(w http.ResponseWriter, r *http.Request) { g.http.serve(w, r, g.all, at) }
		serveOne := func(w http.ResponseWriter, r *http.Request) {
			ep := g.endpoint(r.PathValue("name"))
			if ep == nil {
				writeJSON(w, http.StatusNotFound,
					map[string]string{"error": fmt.Sprintf("no agent %q here", r.PathValue("name"))})
				return
			}
			g.http.serve(w, r, ep, at)
		}
		for _, end := range []string{"", "/{$}"} {
			mux.HandleFunc(at+end, serveAll)
			mux.HandleFunc("/agents/{name}"+at+end, serveOne)
		}
	}
	return mux
}

// A CutError is the error of [Gateway.Drain] where calls took longer than it could wait.
type CutError struct{ Calls int }

// Error says how many they were.
func (e *CutError) Error() string {
	return fmt.Sprintf("%d calls were cut: they took longer than a stop may", e.Calls)
}

// Drain ends the service without losing a call: new sessions are turned away (503 with Retry-After)
// and new calls refused (unavailable, not executed), those running are waited for and answered,
// then all sessions end. When ctx ends first, what is still running is cancelled and the error says
// so: a [*CutError]. Calls that were cut so are answered with outcome_unknown, those that waited
// for their turn with unavailable. The gateway serves nothing after it.
func (g *Gateway) Drain(ctx context.Context) error {
	g.gate.Shut()
	g.http.drain()
	for _, ep := range g.endpoints() {
		g.http.noteOwed(ep)
		ep.held.Drain(shuttingDown())
	}
	began := time.Now()
	err := g.gate.Wait(ctx)
	pings := settleTime
	if err != nil {
		cut := g.gate.InFlight() // before OnCut, which ends those that wait for their turn
		if g.o.OnCut != nil {
			g.o.OnCut()
		}
		for _, ep := range g.endpoints() {
			g.http.cut(ep)
		}
		err = &CutError{Calls: cut}
		var answers time.Duration
		answers, pings = timesAfterCut(time.Since(began))
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), answers)
		defer cancel()
		_ = g.gate.Wait(ctx) // what ignores its context gets no answer
	}
	var all sync.WaitGroup
	for _, ep := range g.endpoints() {
		all.Go(func() {
			g.http.settle(ctx, ep, pings)
			ep.held.Close(ctx, shuttingDown())
		})
	}
	all.Wait()
	g.once.Do(func() { close(g.drained) })
	if ctx.Err() == nil {
		return errors.Join(err, g.http.close(ctx))
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return errors.Join(err, g.http.close(closing))
}
