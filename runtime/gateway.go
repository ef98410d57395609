package runtime

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/lifecycle"
	"github.com/openmas/openmas/internal/nearest"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/internal/access"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/internal/telemetry"
	"github.com/openmas/openmas/runtime/internal/updates"
)

// listen takes the gateway's port. It comes before everything else, so that a port in use starts
// nothing.
func (r *Runtime) listen(ctx context.Context) error {
	if r.cfg.Gateway == nil || r.opts.Mode.calm() {
		return nil
	}
	ln, err := listenOn(ctx, "gateway", r.cfg.Gateway.Listen, "--listen or gateway.listen")
	if err != nil {
		return err
	}
	r.listener = ln
	r.serveHTTP(&r.undo, "gateway", ln, r.Handler())
	return nil
}

// listenOn opens a listener that the project file has an address for, under a key.
func listenOn(ctx context.Context, what, addr, key string) (net.Listener, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: %s is in use, perhaps by another openmas: use that one (openmas mcp connect --url, "+
			"for a client that starts programs), stop it, or choose another port with %s: %w", what, addr, key, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: listen on %s: %w", what, addr, err)
	}
	return ln, nil
}

// Handler serves the gateway's endpoints, for programs that bring their own HTTP server instead of
// the project file's listener. Before the system is ready it answers 503 and what is waited for,
// but for /livez.
func (r *Runtime) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if g := r.gateway.Load(); g != nil {
			g.ServeHTTP(w, req)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if req.URL.Path == "/livez" {
			_, _ = io.WriteString(w, `{"status":"ok"}`+"\n") // who is gone does not matter
			return
		}
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = json.NewEncoder(w).Encode(map[string]string{"status": "not ready", "reason": r.readiness(false).Error()})
	})
}

// arriving is a directory whose calls are those of the gateway's clients, which have a span for its
// part of them.
type arriving struct {
	agent.Directory
	calls agent.Caller
}

// Call implements [agent.Caller].
func (a arriving) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	return a.calls.Call(ctx, c)
}

// dismiss refuses the calls that wait for their turn, or for an instance: they can be made again.
func (r *Runtime) dismiss() {
	for _, c := range r.dir.All() {
		c.Dismiss()
	}
}

// serveGateway lets clients in, once every agent is up.
func (r *Runtime) serveGateway() error {
	o := server.GatewayOptions{Options: r.hostOptions(), Project: r.cfg.Project,
		Ready: func() error { return r.readiness(false) },
		Watch: r.subscribeResource, Down: r.down, OnCut: r.dismiss}
	r.boundByFiles(&o.Limits)
	if g := r.cfg.Gateway; g != nil {
		o.Hosts, o.Origins, o.Identify = g.Hosts, g.Origins, access.Identify(g, r.log)
		if g.Expose != nil {
			o.Expose = append(slices.Clone(g.Expose), child.Runtime)
		}
	}
	o.OnSessionEnd = func(t mcp.Transport, opened time.Time) { r.metrics.ServerSession(overOf(t), time.Since(opened)) }
	calls := r.tel.Server(telemetry.Hop{Service: child.Runtime, Entry: true})(r.metrics.OfClients().Measure(r.dir))
	gw, err := server.NewGateway(arriving{r.dir, calls}, o)
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	r.gateway.Store(gw)
	gw.Refresh() // an agent that came since it listed them has refreshed nothing
	r.onClose("gateway", gw.Drain)
	if r.listener != nil {
		r.url.Store("http://" + r.listener.Addr().String())
	}
	return nil
}

// overOf is the communicator of a client's session.
func overOf(t mcp.Transport) string { return "mcp-" + string(t) }

// down says why an agent of which nobody knows yet what it offers takes no calls.
func (r *Runtime) down(name string) error {
	c := r.dir.Find(name)
	switch {
	case c == nil && r.phase.Load() == "starting" && r.now.Load().agents[name] != nil:
		return fmt.Errorf("agent %s has not started yet: the system is starting", name)
	case c == nil || c.Shown.Known():
		return nil
	}
	return r.mask(c.Shown.Down())
}

// refresh has the gateways list anew what agents offer.
func (r *Runtime) refresh() {
	if g := r.gateway.Load(); g != nil {
		g.Refresh()
	}
	if p := r.private.Load(); p != nil {
		p.gateway.Refresh()
	}
	if r.ops != nil {
		r.ops.Refresh()
	}
}

// readiness is why /readyz answers 503; nil: the system is ready. What an agent itself reports to
// be wrong with it is told to those who run it.
func (r *Runtime) readiness(operator bool) error {
	switch p := r.phase.Load().(string); p {
	case "ready":
	case "starting":
		if names := r.waits.Names(); names != "" {
			return fmt.Errorf("the system is starting: it waits for %s", names)
		}
		fallthrough
	default:
		return fmt.Errorf("the system is %s", p)
	}
	for _, c := range r.dir.All() {
		if c.Shown.GaveUp() {
			return fmt.Errorf("agent %s has failed", c.Name)
		}
		if c.Shown.Suspect() {
			return fmt.Errorf("agent %s does not answer pings", c.Name)
		}
		if sick := c.Unhealthy(context.Background()); len(sick) > 0 && len(sick) == len(c.Shown.Instances()) {
			for _, err := range sick {
				if !operator {
					return fmt.Errorf("agent %s is not healthy", c.Name)
				}
				return fmt.Errorf("agent %s is not healthy: %w", c.Name, err)
			}
		}
	}
	return nil
}

func (r *Runtime) hostOptions() server.Options {
	return server.Options{Logger: r.log, Version: r.opts.Version, Limits: gatewayLimits(r.cfg),
		NoFastPath: noFastPath(r.cfg.MCP), Process: r.shared, Describe: r.tel.Wants(),
		OnRefused: func(ctx context.Context, c *agent.Call, why *agent.Error, known func() []string) string {
			ctx = r.tel.Refused(ctx, c, why)
			r.metrics.OfClients().Record(ctx, c, "", 0, why)
			_ = r.calls.Made(ctx, c, 0, why, func(agent.Code) string { return nearest.Hint(c.Name, known()) })
			return telemetry.TraceParent(ctx)
		}}
}

// serveHTTP serves until it is taken back. By then sessions have been ended by those who own them;
// what is left is cut.
func (r *Runtime) serveHTTP(undo *lifecycle.Undo, what string, ln net.Listener, h http.Handler) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: r.cfg.MCP.HeaderTimeout, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: httpLog(r.log)}
	r.tasks.Go(func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			r.log.Error("a listener broke", "listener", what, "error", err)
		}
	})
	undo.Add(what, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			return srv.Close()
		}
		return nil
	})
}

// httpLog gives net/http's own complaints (broken TLS, panics of handlers) to the log.
func httpLog(l *slog.Logger) *log.Logger { return slog.NewLogLogger(l.Handler(), slog.LevelDebug) }

// ServeStdio serves the whole system to one client on in and out, as the gateway does over HTTP. It
// returns nil when in ends, after the calls in flight were answered, and when the system was
// drained. It needs a running system: see [Runtime.Ready].
func (r *Runtime) ServeStdio(ctx context.Context, in io.Reader, out io.Writer) error {
	g := r.gateway.Load()
	if g == nil {
		return errors.New("the system is not up")
	}
	return g.ServeStdio(ctx, in, out)
}

// subscribeResource is called by the gateway when a client subscribes. Our own types publish
// updates without it.
func (r *Runtime) subscribeResource(ctx context.Context, name, uri string) error {
	s, ok := r.subscriptions.Load(name)
	if !ok {
		return nil
	}
	add := func() error { return s.(*updates.Subscriptions).Add(ctx, uri) }
	if c := r.dir.Find(name); c != nil && c.Shown.Forgets {
		return r.mask(c.Shown.Awake(ctx, add))
	}
	return r.mask(add())
}

// forwardResourceUpdates passes what agents publish about their resources on to the clients of the
// gateway. Every process with a gateway gets it, hence the group of its own.
func (r *Runtime) forwardResourceUpdates() error {
	group := child.Runtime + "-" + strings.ToLower(rand.Text()[:12])
	stop, err := r.events.subscribe(group, agent.TopicResourceUpdated,
		func(ctx context.Context, p agent.Event, _ int) error {
			var u agent.ResourceUpdate
			if err := json.Unmarshal(p.Payload, &u); err != nil {
				return agent.Refusedf(agent.CodeInvalidArgument, "%s: %w", p.Topic, err)
			}
			r.resourceUpdated(ctx, p.Source, u.URI)
			return nil
		})
	if err != nil {
		return err
	}
	r.onClose("resource updates", stop)
	return nil
}

func (r *Runtime) resourceUpdated(ctx context.Context, name, uri string) {
	if g := r.gateway.Load(); g != nil {
		g.ResourceUpdated(ctx, name, uri)
	}
}
