package runtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/runtime/project"
)

// private is the listener for the processes of this system: children call back through it, and
// agents that live here but are reached over HTTP have their endpoints on it. It is on loopback, on
// a port of the system's choice, and takes nothing without a token.
type private struct {
	url     string
	gateway *mcp.Gateway
	hosted  map[string]communicator.Communicator // by Over… word
	tokens  tokens
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
	host.Limits, host.Identify = privateLimits(r.cfg.MCP), p.tokens.identify
	self := p.tokens.issue(mcp.Identity{Name: selfName, Trusted: true})
	gw, err := mcp.NewGateway(r.dir, mcp.GatewayOptions{HostOptions: host, Private: true})
	if err != nil {
		return errors.Join(fmt.Errorf("private listener: %w", err), ln.Close())
	}
	p.gateway = gw
	mux := http.NewServeMux()
	mux.Handle("/", gw)
	p.hosted = map[string]communicator.Communicator{}
	for over, transport := range map[string]mcp.Transport{project.OverSSE: mcp.SSE, project.OverHTTP: mcp.Streamable} {
		prefix := "/hosted/" + string(transport)
		c, err := mcp.NewHTTP(mcp.HTTPOptions{HostOptions: host, Transport: transport, BaseURL: func() string {
			return p.url + prefix
		}, Token: self})
		if err != nil {
			return errors.Join(fmt.Errorf("private listener: %w", err), ln.Close())
		}
		p.hosted[over] = c
		mux.Handle(prefix+"/", c)
	}
	r.serveHTTP("private listener", ln, mux)
	for over, c := range p.hosted {
		r.onClose("agents over "+over, c.Close)
	}
	r.onClose("calls back from children", gw.Drain)
	return nil
}

// serveHTTP serves until it is taken back. By then sessions have been ended by those who own them;
// what is left is cut.
func (r *Runtime) serveHTTP(what string, ln net.Listener, h http.Handler) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: r.cfg.MCP.HeaderTimeout, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: httpLog(r.log)}
	r.tasks.Go(func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			r.log.Error("a listener broke", "listener", what, "error", err)
		}
	})
	r.onClose(what, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			return srv.Close()
		}
		return nil
	})
}
