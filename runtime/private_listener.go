package runtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/project"
)

// overHTTP is the communicator of an agent that lives here and is reached through an endpoint of
// its own.
type overHTTP struct {
	*server.HTTP
	*client.Dialer
	unmount func()
}

// Close implements [communicator.Communicator]: calls in flight end, then the sessions.
func (o *overHTTP) Close(ctx context.Context) error {
	defer o.unmount()
	return errors.Join(o.HTTP.Close(ctx), o.Dialer.Close(ctx))
}

// needsPrivate reports whether an agent needs the private listener.
func needsPrivate(p planned) bool {
	over := p.cfg.Communicator
	return p.cfg.Child() || p.kind == project.KindType && (over == project.OverSSE || over == project.OverHTTP)
}

// startPrivate opens the private listener if any agent needs it. One that comes later may open it:
// the place where it is closed is the same.
func (r *Runtime) startPrivate(ctx context.Context) error {
	r.onClose("private listener", r.privateUndo.Run)
	if !slices.ContainsFunc(r.now.Load().plan, needsPrivate) {
		return nil
	}
	return r.openPrivate(ctx)
}

// openPrivate opens the private listener, unless it is.
func (r *Runtime) openPrivate(ctx context.Context) error {
	if r.private.Load() != nil {
		return nil
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("open the private listener: %w", err)
	}
	p := &private{url: "http://" + ln.Addr().String(), host: r.hostOptions()}
	p.host.Limits, p.host.Identify = privateLimits(r.cfg.MCP), p.tokens.Identify
	p.self = p.tokens.Issue(server.Identity{Identity: child.FromRuntime, Relays: true})
	p.gateway, err = server.NewGateway(arriving{r.dir, p.charged(r.tel.Relay(r.dir))},
		server.GatewayOptions{Options: p.host, Private: true, Down: r.down})
	if err != nil {
		return errors.Join(fmt.Errorf("private listener: %w", err), ln.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("/", p.gateway)
	mux.HandleFunc(hostedPath, p.serveHosted)
	r.serveHTTP(&r.privateUndo, "private listener", ln, mux)
	r.privateUndo.Add("calls back from children", p.gateway.Drain)
	r.private.Store(p)
	return nil
}

// hostedPath is where the endpoints of the agents are that live here.
const hostedPath = "/hosted/"

// serveHosted leads a request to the agent that it is for.
func (p *private) serveHosted(w http.ResponseWriter, req *http.Request) {
	place, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, hostedPath), "/")
	h, ok := p.hosted.Load(place)
	if !ok {
		http.NotFound(w, req)
		return
	}
	h.(http.Handler).ServeHTTP(w, req)
}

// hostOverHTTP makes the communicator of an agent with an endpoint of its own.
func (r *Runtime) hostOverHTTP(p planned) (communicator.Communicator, error) {
	pr := r.private.Load()
	h, err := server.NewHTTP(pr.host)
	if err != nil {
		return nil, fmt.Errorf("private listener: %w", err)
	}
	place := strconv.FormatInt(pr.places.Add(1), 10)
	pr.hosted.Store(place, h)
	return &overHTTP{h, &client.Dialer{Transport: transports[p.cfg.Communicator], Token: pr.self,
		BaseURL: func() string { return pr.url + hostedPath + place }, Options: r.connectOptions(planned{of: p.of})},
		func() { pr.hosted.Delete(place) }}, nil
}
