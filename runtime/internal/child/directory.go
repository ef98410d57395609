package child

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/delivery"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/internal/telemetry"
	"github.com/openmas/openmas/runtime/project"
)

// listTimeout bounds the directory's look-ups in a child, which have no context of their own.
const listTimeout = 10 * time.Second

// directory is the directory of a child process: it reaches every agent through the parent's
// private listener, one session per agent that is called. Retrying is the parent's business: the
// hop between the two is not the one that fails.
type directory struct {
	hello Hello
	tel   *telemetry.Telemetry
	calls *calls.Log
	log   *slog.Logger

	mu     sync.Mutex
	lines  map[string]*line
	closed bool
}

var (
	_ agent.Directory = (*directory)(nil)
	_ agent.Publisher = (*directory)(nil)
)

// line is the session to one agent, made on first use and made anew when it ended.
type line struct {
	chain   agent.Caller
	turn    chan struct{} // holds one token: who has it may use session
	session *client.Session
}

func newDirectory(h Hello, tel *telemetry.Telemetry, made *calls.Log, log *slog.Logger) *directory {
	return &directory{hello: h, tel: tel, calls: made, log: log, lines: map[string]*line{}}
}

// Call implements [agent.Caller].
func (d *directory) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	if err := agent.CheckAgentName(c.Agent); err != nil {
		return nil, agent.Refusedf(agent.CodeNotFound, "there is no agent %q", c.Agent)
	}
	l, err := d.line(c.Agent)
	if err != nil {
		return nil, err
	}
	return l.chain.Call(ctx, c)
}

func (d *directory) line(name string) (*line, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, agent.Refusedf(agent.CodeUnavailable, "agent %s is stopping", d.hello.Agent)
	}
	l := d.lines[name]
	if l == nil {
		l = &line{turn: make(chan struct{}, 1)}
		attempt := agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			s, err := d.session(ctx, l, name)
			if err != nil {
				return nil, err
			}
			return s.Call(ctx, c)
		})
		nothing := func() agent.Info { return agent.Info{} }
		l.chain = agent.Chain(attempt, d.tel.Client(telemetry.Hop{Communicator: project.OverHTTP}),
			d.calls.Served(nothing),
			calls.Limit(d.hello.Timeout, "the longest timeout in the project file"))
		d.lines[name] = l
	}
	return l, nil
}

// session gives the live session to an agent. Callers that come while it is being made wait for it.
func (d *directory) session(ctx context.Context, l *line, name string) (*client.Session, error) {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, agent.Refusedf(agent.CodeOf(ctx.Err()), "reach agent %s through the parent: %w", name, ctx.Err())
	}
	defer func() { <-l.turn }()
	if l.session != nil {
		select {
		case <-l.session.Done():
			l.session = nil
		default:
			return l.session, nil
		}
	}
	s, err := client.Connect(ctx,
		client.Target{Name: name, Transport: mcp.Streamable, Trusted: true,
			URL:     d.hello.URL + "/agents/" + url.PathEscape(name) + mcp.StreamableEndpoint,
			Headers: map[string]string{"Authorization": "Bearer " + d.hello.Token}},
		client.Options{Logger: d.log, MaxBody: d.hello.Limits.MaxBody, NoFastPath: d.hello.NoFastPath})
	if err != nil {
		var e *agent.Error
		if errors.As(err, &e) && e.Code == agent.CodeNotFound {
			d.forget(name)
			return nil, agent.Refusedf(agent.CodeNotFound, "there is no agent %q", name)
		}
		return nil, agent.Refusedf(agent.CodeUnavailable, "reach agent %s through the parent: %w", name, err)
	}
	l.session = s
	return s, nil
}

func (d *directory) forget(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.lines, name)
}

// listing is what is read of the answer to openmas.list.
type listing struct {
	Agents []agent.Info `json:"agents"`
}

// Agents implements [agent.Directory]. It is empty when the parent does not answer.
func (d *directory) Agents() []agent.Info {
	ctx, cancel := context.WithTimeout(context.Background(), listTimeout)
	defer cancel()
	l, err := agent.Ask[listing](agent.WithEnv(ctx, agent.Env{Name: d.hello.Agent, Directory: d}), Runtime+".list",
		nil)
	if err != nil {
		d.log.Warn("the parent did not list the agents", "error", err)
	}
	return l.Agents
}

// Agent implements [agent.Directory].
func (d *directory) Agent(name string) (agent.Info, bool) {
	for _, info := range d.Agents() {
		if info.Name == name {
			return info, true
		}
	}
	return agent.Info{}, false
}

// Publish implements [agent.Publisher]: the parent passes the event on.
func (d *directory) Publish(ctx context.Context, p agent.Event) error {
	p.Source = d.hello.Agent
	if _, err := d.Call(ctx, delivery.Call(Runtime, p, 1)); err != nil {
		return fmt.Errorf("publish %s: %w", p.Topic, err)
	}
	return nil
}

// close ends every session.
func (d *directory) close(ctx context.Context) error {
	d.mu.Lock()
	d.closed = true
	lines := d.lines
	d.lines = nil
	d.mu.Unlock()
	var errs []error
	for name, l := range lines {
		l.turn <- struct{}{} // nobody waits for long: dialling has its own timeout
		if l.session != nil {
			if err := l.session.Close(ctx); err != nil {
				errs = append(errs, fmt.Errorf("close the session to %s: %w", name, err))
			}
		}
	}
	return errors.Join(errs...)
}
