package ops

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/server"
)

// ServerOptions configures a [Server]. All but Metrics are required.
type ServerOptions struct {
	server.Options
	Project string
	// Agents are those of the system.
	Agents agent.Directory
	// Runtime is the runtime as its operator has it; it takes the place of the agent openmas.
	Runtime *agent.Host
	// Up is closed when the agents can be called. Calls wait for that; the runtime answers before.
	Up <-chan struct{}
	// Ready says why the system cannot take work: see [server.GatewayOptions.Ready].
	Ready func() error
	// Metrics serves /metrics; nil: there are none.
	Metrics http.Handler
	// Mask takes the project's secrets out of an error.
	Mask func(error) error
}

// A Server serves an operations socket: it is an http.Handler with the paths of a [server.Gateway],
// and /metrics. It costs nothing before the first request. It is safe for concurrent use.
type Server struct {
	dir      directory
	metrics  http.Handler
	identify func(*http.Request) (server.Identity, error)

	mu      sync.Mutex
	make    func() (*server.Gateway, error)
	gateway *server.Gateway // nil: nobody has come yet
	closed  bool
}

// NewServer starts nothing.
func NewServer(o ServerOptions) *Server {
	s := &Server{dir: directory{Directory: o.Agents, runtime: o.Runtime, up: o.Up, mask: o.Mask,
		ending: make(chan struct{})}, metrics: o.Metrics, identify: o.Identify}
	s.make = func() (*server.Gateway, error) {
		return server.NewGateway(&s.dir, server.GatewayOptions{Options: o.Options, Project: o.Project, Ready: o.Ready,
			Private: true})
	}
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/metrics" {
		s.serveMetrics(w, r)
		return
	}
	s.mu.Lock()
	var err error
	switch {
	case s.closed:
		err = errors.New("the process is ending")
	case s.gateway == nil:
		s.gateway, err = s.make()
	}
	g := s.gateway
	s.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	g.ServeHTTP(w, r)
}

func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) {
	if _, err := s.identify(r); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	if s.metrics == nil {
		http.Error(w, "there are no metrics: ops or telemetry.endpoint in the project file turns them on",
			http.StatusNotFound)
		return
	}
	s.metrics.ServeHTTP(w, r)
}

// Refresh has clients told what the agents offer now.
func (s *Server) Refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gateway != nil {
		s.gateway.Refresh()
	}
}

// Drain refuses new calls of agents and waits for those in flight, until ctx ends. The runtime can
// still be called.
func (s *Server) Drain(ctx context.Context) error {
	s.dir.gate.Shut()
	return s.dir.gate.Wait(ctx)
}

// Close ends every session. It comes after Drain, or instead where the start has failed.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	g := s.gateway
	if !s.closed {
		s.closed = true
		close(s.dir.ending)
	}
	s.mu.Unlock()
	if g == nil {
		return nil
	}
	return g.Drain(ctx)
}

// directory is that of the operator.
type directory struct {
	agent.Directory
	runtime *agent.Host
	up      <-chan struct{}
	mask    func(error) error
	ending  chan struct{} // closed by Close
	gate    calls.Gate
}

// Call implements [agent.Caller].
func (d *directory) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	if c.Agent == Operator.Agent {
		return d.runtime.Call(ctx, c)
	}
	if !d.gate.Enter() {
		return nil, agent.Refusedf(agent.CodeUnavailable, "%s: the system is stopping", c.Target())
	}
	defer d.gate.Leave()
	select {
	case <-d.up:
		res, err := d.Directory.Call(ctx, c)
		return res, d.explained(err)
	case <-d.ending:
		return nil, agent.Refusedf(agent.CodeUnavailable, "%s: the system has not started", c.Target())
	case <-ctx.Done():
		return nil, agent.Refusedf(agent.CodeUnavailable, "%s: the system is starting: %w", c.Target(),
			context.Cause(ctx))
	}
}

// explained adds what the program behind an error wrote last, which is for its operator only.
func (d *directory) explained(err error) error {
	lines := client.LastLines(err)
	if len(lines) == 0 {
		return err
	}
	e := *agent.AsError(err)
	e.Message += "\nthe program's last lines:\n    " + strings.Join(lines, "\n    ")
	return d.mask(&e)
}

// Agents implements [agent.Directory].
func (d *directory) Agents() []agent.Info {
	all := slices.Clone(d.Directory.Agents())
	for i := range all {
		if all[i].Name == Operator.Agent {
			all[i] = d.runtime.Info()
		}
	}
	return all
}

// Agent implements [agent.Directory].
func (d *directory) Agent(name string) (agent.Info, bool) {
	if name == Operator.Agent {
		return d.runtime.Info(), true
	}
	return d.Directory.Agent(name)
}
