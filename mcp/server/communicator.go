package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

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
	served  calls.Served[*httpBinding]
}

var _ communicator.Server = (*HTTP)(nil)

// NewHTTP checks the options. It starts nothing.
func NewHTTP(o Options) (*HTTP, error) {
	o = o.withDefaults()
	h := &HTTP{o: o}
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
	b, ok, closed := h.served.Find(name)
	switch {
	case ok:
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
	b := &httpBinding{h: h, name: info.Name}
	b.ep = soleEndpoint(h.o, info, s, &b.Gate, nil)
	if err := h.served.Add(ctx, b.name, b); err != nil {
		return nil, err
	}
	return b, nil
}

// Close waits for the calls in flight, then ends all bindings and sessions. When ctx ends first,
// what still runs is cancelled, and the error says so.
func (h *HTTP) Close(ctx context.Context) error {
	return errors.Join(h.served.Close(ctx), h.http.close(ctx))
}

// httpBinding is one agent served.
type httpBinding struct {
	calls.Gate
	h    *HTTP
	name string
	ep   *endpoint
}

// Close implements [communicator.Binding].
func (b *httpBinding) Close(ctx context.Context) error {
	b.Shut()
	b.h.http.noteOwed(b.ep)
	b.ep.held.Drain(shuttingDown())
	err := b.Wait(ctx)
	if err != nil {
		err = fmt.Errorf("close %s: %w", b.name, err)
	}
	b.h.http.settle(ctx, b.ep, settleTime)
	b.ep.held.Close(ctx, shuttingDown())
	b.h.served.Remove(b.name, b)
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
