package runtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/project"
)

// overHTTP is the communicator of agents that live here and are reached through endpoints of
// theirs.
type overHTTP struct {
	*server.HTTP
	*client.Dialer
}

// Close implements [communicator.Communicator]: calls in flight end, then the sessions.
func (o *overHTTP) Close(ctx context.Context) error {
	return errors.Join(o.HTTP.Close(ctx), o.Dialer.Close(ctx))
}

// startPrivate opens the private listener if any agent needs it.
func (r *Runtime) startPrivate(ctx context.Context) error {
	needed := false
	for _, p := range r.plan {
		over := p.cfg.Communicator
		needed = needed || p.cfg.Child() ||
			p.kind == project.KindType && (over == project.OverSSE || over == project.OverHTTP)
	}
	if !needed {
		return nil
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("open the private listener: %w", err)
	}
	p := &private{url: "http://" + ln.Addr().String()}
	r.private = p
	host := r.hostOptions()
	host.Limits, host.Identify = privateLimits(r.cfg.MCP), p.tokens.Identify
	self := p.tokens.Issue(server.Identity{Identity: child.FromRuntime, Relays: true})
	gw, err := server.NewGateway(arriving{r.dir, p.charged(r.tel.Relay(r.dir))},
		server.GatewayOptions{Options: host, Private: true})
	if err != nil {
		return errors.Join(fmt.Errorf("private listener: %w", err), ln.Close())
	}
	p.gateway = gw
	mux := http.NewServeMux()
	mux.Handle("/", gw)
	p.hosted = map[string]communicator.Communicator{}
	for _, over := range []string{project.OverSSE, project.OverHTTP} {
		prefix := "/hosted/" + over
		h, err := server.NewHTTP(host)
		if err != nil {
			return errors.Join(fmt.Errorf("private listener: %w", err), ln.Close())
		}
		p.hosted[over] = &overHTTP{h, &client.Dialer{Transport: transports[over], Token: self,
			BaseURL: func() string { return p.url + prefix }, Options: r.connectOptions(planned{})}}
		mux.Handle(prefix+"/", h)
	}
	r.serveHTTP("private listener", ln, mux)
	for over, c := range p.hosted {
		r.onClose("agents over "+over, c.Close)
	}
	r.onClose("calls back from children", gw.Drain)
	return nil
}
