package mcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/gate"
)

// HTTPOptions configures an [HTTP] communicator.
type HTTPOptions struct {
	HostOptions
	// Transport is what Dial uses: SSE or Streamable. Both are served.
	Transport Transport
	// BaseURL says where the communicator's handler is reached, such as
	// http://127.0.0.1:8765/internal. It is asked for each Dial, by when it has to be known.
	BaseURL func() string
	// Token is sent by Dial, as a bearer token. Identify is to take it for one of our own, or
	// nothing is known of callers and deadlines on the other side.
	Token string
}

// HTTP is the communicator over MCP's HTTP transports: each agent is hosted at
// BaseURL/NAME/{sse,messages/,mcp}, and reached there from this process or another. It is an
// http.Handler, whose listener the owner runs and, after Close, ends. It is safe for concurrent
// use.
type HTTP struct {
	o       HTTPOptions
	web     *web
	handler http.Handler

	mu     sync.Mutex
	closed bool
	bound  map[string]*httpBinding
	peers  map[*httpPeer]struct{}
}

var _ communicator.Communicator = (*HTTP)(nil)

// NewHTTP checks the options. It starts nothing.
func NewHTTP(o HTTPOptions) (*HTTP, error) {
	if o.Transport != SSE && o.Transport != Streamable {
		return nil, fmt.Errorf("transport %q is not one over HTTP: want %s or %s", o.Transport, SSE, Streamable)
	}
	if o.BaseURL == nil {
		return nil, errors.New("an HTTP communicator needs its BaseURL")
	}
	o.HostOptions = o.withDefaults()
	h := &HTTP{o: o, bound: map[string]*httpBinding{}, peers: map[*httpPeer]struct{}{}}
	var err error
	if h.web, err = newWeb(o.HostOptions); err != nil {
		return nil, err
	}
	if h.handler, err = o.guard(http.HandlerFunc(h.route)); err != nil {
		return nil, err
	}
	return h, nil
}

// ServeHTTP implements http.Handler. Mount it under any prefix, without http.StripPrefix.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.handler.ServeHTTP(w, r) }

// route finds the agent: the path ends in NAME/LEAF, whatever is before.
func (h *HTTP) route(w http.ResponseWriter, r *http.Request) {
	rest, leaf, ok := cutLast(strings.TrimSuffix(r.URL.Path, "/"))
	_, name, found := cutLast(rest)
	if !ok || !found || leaf != "sse" && leaf != "messages" && leaf != "mcp" {
		http.NotFound(w, r)
		return
	}
	h.mu.Lock()
	b, closed := h.bound[name], h.closed
	h.mu.Unlock()
	switch {
	case b != nil:
		h.web.serve(w, r, b.ep, leaf)
	case closed:
		refuse(w, errEnding)
	default:
		writeJSON(w, http.StatusNotFound, map[string]string{"error": fmt.Sprintf("no agent %q here", name)})
	}
}

func cutLast(path string) (before, after string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
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
	b.ep = soleEndpoint(h.o.HostOptions, info, s, &b.gate, nil)
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

// Dial implements [communicator.Dialer].
func (h *HTTP) Dial(ctx context.Context, name string) (communicator.Peer, error) {
	if err := agent.CheckAgentName(name); err != nil {
		return nil, err
	}
	leaf := map[Transport]string{SSE: "/sse", Streamable: "/mcp"}[h.o.Transport]
	t := Target{Name: name, Transport: h.o.Transport, URL: strings.TrimSuffix(h.o.BaseURL(), "/") + "/" + name + leaf,
		Trusted: true}
	if h.o.Token != "" {
		t.Headers = map[string]string{"Authorization": "Bearer " + h.o.Token}
	}
	p := &httpPeer{h: h}
	if err := h.join(p); err != nil {
		return nil, err
	}
	s, err := Connect(ctx, t, ConnectOptions{Logger: h.o.Logger, MaxFrame: h.o.Limits.MaxFrame,
		MaxBody: h.o.Limits.MaxBody, NoExpress: h.o.NoExpress})
	if err != nil {
		h.leave(p)
		return nil, err
	}
	p.Session = s
	if err := h.join(p); err != nil { // closed in the meantime
		return nil, errors.Join(err, p.Close(ctx))
	}
	return p, nil
}

func (h *HTTP) join(p *httpPeer) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return agent.Refusedf(agent.CodeUnavailable, "the communicator is closed")
	}
	if p.Session != nil {
		h.peers[p] = struct{}{}
	}
	return nil
}

func (h *HTTP) leave(p *httpPeer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.peers, p)
}

// Close implements [communicator.Communicator]: it waits for the calls in flight, then ends all
// bindings and sessions.
func (h *HTTP) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	var bindings []*httpBinding
	for _, b := range h.bound {
		bindings = append(bindings, b)
	}
	var peers []*httpPeer
	for p := range h.peers {
		peers = append(peers, p)
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
	errs := ended
	for _, p := range peers {
		errs = append(errs, p.Close(ctx))
	}
	return errors.Join(append(errs, h.web.close(ctx))...)
}

// httpPeer is a session that the communicator closes when nobody else does.
type httpPeer struct {
	*Session
	h *HTTP
}

// Close implements [communicator.Peer].
func (p *httpPeer) Close(ctx context.Context) error {
	p.h.leave(p)
	return p.Session.Close(ctx)
}

// httpBinding is one agent served.
type httpBinding struct {
	h    *HTTP
	name string
	ep   *endpoint
	gate gate.Gate
}

// Close implements [communicator.Binding].
func (b *httpBinding) Close(ctx context.Context) error {
	b.gate.Shut()
	err := b.gate.Wait(ctx)
	if err != nil {
		err = fmt.Errorf("close %s: %w", b.name, err)
	}
	b.h.web.settle(ctx, b.ep)
	b.h.mu.Lock()
	if b.h.bound[b.name] == b {
		delete(b.h.bound, b.name)
	}
	b.h.mu.Unlock()
	mine := func(c *client) bool { return c.ep == b.ep }
	b.h.web.end(mine)
	left, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	awaitZero(left, func() int { return len(b.h.web.of(mine)) }) // then every client has been told
	return err
}
