package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/calls"
)

// HTTP offers each agent that it serves at NAME/{sse,messages/,mcp} below the path where it is
// mounted, to sessions over both of MCP's HTTP transports. It is an http.Handler, whose listener
// the owner runs and, after Close, ends. With a client.Dialer it is a communicator. It is safe for
// concurrent use.
type HTTP struct {
	o       Options
	http    *httpServer
	handler http.Handler

	mu     sync.Mutex
	closed bool
	bound  map[string]*httpBinding
}

var _ communicator.Server = (*HTTP)(nil)

// NewHTTP checks the options. It starts nothing.
func NewHTTP(o Options) (*HTTP, error) {
	o = o.withDefaults()
	h := &HTTP{o: o, bound: map[string]*httpBinding{}}
	var err error
	if h.http, err = newHTTPServer(o); err != nil {
		return nil, err
	}
	if h.handler, err = o.Guard(http.HandlerFunc(h.route)); err != nil {
		return nil, err
	}
	return h, nil
}

// ServeHTTP implements http.Handler. Mount it under any prefix, without http.StripPrefix.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.handler.ServeHTTP(w, r) }

// route finds the agent: the path ends in NAME/ENDPOINT, whatever is before.
func (h *HTTP) route(w http.ResponseWriter, r *http.Request) {
	rest, at := cutLast(strings.TrimSuffix(r.URL.Path, "/"))
	_, name := cutLast(rest)
	name = strings.TrimPrefix(name, "/")
	if name == "" || !slices.Contains(endpoints, at) {
		http.NotFound(w, r)
		return
	}
	h.mu.Lock()
	b, closed := h.bound[name], h.closed
	h.mu.Unlock()
	switch {
	case b != nil:
		h.http.serve(w, r, b.ep, at)
	case closed:
		refuse(w, errEnding)
	default:
		writeJSON(w, http.StatusNotFound, map[string]string{"error": fmt.Sprintf("no agent %q here", name)})
	}
}

// cutLast cuts the last element off a path, with its slash.
func cutLast(path string) (before, last string) {
	i := max(strings.LastIndexByte(path, '/'), 0)
	return path[:i], path[i:]
}

// Serve implements [communicator.Server].
func (h *HTTP) Serve(ctx context.Context, s communicator.Service) (communicator.Binding, error) {
	info := s.Info()
	if err := agent.CheckAgentName(info.Name); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, agent.AsError(err)
	}
	b := &httpBinding{h: h, name: info.Name}
	b.ep = soleEndpoint(h.o, info, s, &b.gate, nil)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, agent.Errorf(agent.CodeUnavailable, "serve %s: the communicator is closed", info.Name)
	}
	if _, dup := h.bound[info.Name]; dup {
		return nil, agent.Errorf(agent.CodeInvalidArgument, "serve %s: the name is taken", info.Name)
	}
	h.bound[info.Name] = b
	return b, nil
}

// Close waits for the calls in flight, then ends all bindings and sessions. When ctx ends first,
// what still runs is cancelled, and the error says so.
func (h *HTTP) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	var bindings []*httpBinding
	for _, b := range h.bound {
		bindings = append(bindings, b)
	}
	h.mu.Unlock()
	for _, b := range bindings {
		b.gate.Shut()
	}
	ended := make([]error, len(bindings))
	var all sync.WaitGroup
	for i, b := range bindings {
		all.Go(func() { ended[i] = b.Close(ctx) })
	}
	all.Wait()
	return errors.Join(append(ended, h.http.close(ctx))...)
}

// httpBinding is one agent served.
type httpBinding struct {
	h    *HTTP
	name string
	ep   *endpoint
	gate calls.Gate
}

// Close implements [communicator.Binding].
func (b *httpBinding) Close(ctx context.Context) error {
	b.gate.Shut()
	b.h.http.noteOwed(b.ep)
	b.ep.held.Drain(shuttingDown())
	err := b.gate.Wait(ctx)
	if err != nil {
		err = fmt.Errorf("close %s: %w", b.name, err)
	}
	b.h.http.settle(ctx, b.ep)
	b.ep.held.Close(ctx, shuttingDown())
	b.h.mu.Lock()
	if b.h.bound[b.name] == b {
		delete(b.h.bound, b.name)
	}
	b.h.mu.Unlock()
	mine := func(c *session) bool { return c.ep == b.ep }
	sessions := b.h.http.where(mine)
	b.h.http.end(mine)
	left, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for _, c := range sessions { // then every client has been told
		select {
		case <-c.forgotten:
		case <-left.Done():
		}
	}
	return err
}
