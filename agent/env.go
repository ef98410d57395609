package agent

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
)

// Env is what the runtime lends an agent. It is a plain value; what it refers to may be used
// concurrently until the agent's Close has returned.
type Env struct {
	// Name is the agent's name in the project, Instance which of its instances this is: "name/0",
	// "name/1" and so on.
	Name, Instance string
	// User is for whom calls are made that are no part of another: somebody whom the program has
	// authenticated. The runtime leaves it empty.
	User string
	// Logger writes to the runtime's log with the agent's name attached. Never nil inside a
	// runtime.
	Logger *slog.Logger
	// Directory reaches every other agent of the system. It writes From, Root, Path, Depth and
	// Budget of each call, whatever is in them.
	Directory Directory
	// Publisher carries events to the agents that listen to their topics. It writes their Source.
	Publisher Publisher
	// Results keeps what calls with an idempotency key gave. The instances of an agent in a process
	// share it; nil: the instance has its own.
	Results *Results
	// StateDir is a folder private to the agent; it exists when Start is called and is kept between
	// runs.
	StateDir string
	// Dir is the project file's folder: what relative paths in an agent's config are relative to.
	Dir string
	// Output is where results for a person or the next program go: the process's standard output,
	// or standard error while standard output belongs to a protocol. Logs do not belong here.
	Output io.Writer
}

// Publish sends v, as JSON, to every agent that listens to topic. It returns when the event was
// handed over for delivery, not when it was handled.
func (e Env) Publish(ctx context.Context, topic string, v any, opts ...PublishOption) error {
	if e.Publisher == nil {
		return Errorf(CodeUnavailable, "publish %q: no broker here", topic)
	}
	if err := CheckTopic(topic); err != nil {
		return err
	}
	payload, err := json.Marshal(v)
	if err != nil {
		return Errorf(CodeInvalidArgument, "publish %q: encode the event: %w", topic, err)
	}
	event := Event{ID: newID(), Topic: topic, Source: e.Name, Payload: payload}
	for _, o := range opts {
		o.publish(&event)
	}
	return e.Publisher.Publish(ctx, event)
}

func (e Env) log() *slog.Logger {
	if e.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return e.Logger
}

// A Directory knows the agents of a system and reaches them by name. It may be used concurrently.
type Directory interface {
	// Call routes by c.Agent. An agent that does not exist is a not_found error.
	Caller
	// Agents lists the agents that can be called now, ordered by name.
	Agents() []Info
	// Agent describes one of them.
	Agent(name string) (Info, bool)
}

// A frame is what a context carries: who runs (env), the call that it works on (nil outside one),
// and whom to ask or tell (nil for nobody).
type frame struct {
	env  Env
	call *Call
	back BackChannel
	// chosen: back was set for the calls made from here, and is not that of the call served.
	chosen bool
}

type frameKey struct{}

func frameOf(ctx context.Context) *frame {
	f, _ := ctx.Value(frameKey{}).(*frame)
	return f
}

// WithEnv returns a context in which [Ask], [Publish] and the like act as the agent of env, outside
// any call that is being served. Runtimes call it.
func WithEnv(ctx context.Context, env Env) context.Context {
	f := &frame{env: lend(env)}
	if old := frameOf(ctx); old != nil {
		f.back, f.chosen = old.back, old.chosen
	}
	return context.WithValue(ctx, frameKey{}, f)
}

// EnvFrom returns the Env of the agent that runs in ctx.
func EnvFrom(ctx context.Context) (Env, bool) {
	if f := frameOf(ctx); f != nil {
		return f.env, true
	}
	return Env{}, false
}

// CallFrom returns the call that is being served in ctx, nil outside one: who calls, at which
// depth, with which metadata. It must not be changed.
func CallFrom(ctx context.Context) *Call {
	if f := frameOf(ctx); f != nil {
		return f.call
	}
	return nil
}

// Publish sends an event as the agent that runs in ctx, like [Env.Publish].
func Publish(ctx context.Context, topic string, v any, opts ...PublishOption) error {
	f := frameOf(ctx)
	if f == nil {
		return Errorf(CodeUnavailable, "publish %q: the context belongs to no agent (see agent.WithEnv)", topic)
	}
	return f.env.Publish(ctx, topic, v, opts...)
}

// lend returns env with a directory and a publisher that act as the agent of env, whatever is in
// the calls and events that go through them. What was lent before stays as it is: an agent that
// changes the fields of its Env still acts as itself.
func lend(env Env) Env {
	if _, ok := env.Directory.(*lentDirectory); !ok && env.Directory != nil {
		d := &lentDirectory{dir: env.Directory,
			from: Identity{Agent: env.Name, Instance: env.Instance, User: env.User, Trusted: true}}
		if env.Name != "" {
			d.path = []string{env.Name}
		}
		env.Directory = d
	}
	if _, ok := env.Publisher.(*lentPublisher); !ok && env.Publisher != nil {
		env.Publisher = &lentPublisher{pub: env.Publisher, source: env.Name}
	}
	return env
}

// A lentDirectory is a directory in the hands of one agent.
type lentDirectory struct {
	dir  Directory
	from Identity // of entry calls
	path []string // of entry calls; shared, so it is never appended to in place
}

// Call implements [Caller].
func (d *lentDirectory) Call(ctx context.Context, c *Call) (*Result, error) {
	own := *c
	d.stamp(frameOf(ctx), &own)
	return d.dir.Call(ctx, &own)
}

// stamp writes who makes the call and where in the tree of calls it stands. f is the frame of the
// context in which it is made, or nil.
func (d *lentDirectory) stamp(f *frame, c *Call) {
	c.ID, c.Attempt = newID(), max(c.Attempt, 1)
	c.From, c.Root, c.Path, c.Depth, c.Budget = d.from, c.ID, d.path, 0, ""
	if f == nil || f.call == nil {
		return
	}
	above := f.call
	c.From.User, c.Root, c.Depth, c.Budget = above.From.User, above.Root, above.Depth+1, above.Budget
	if c.Root == "" { // it came from somebody who does not know of roots
		c.Root = above.ID
	}
	c.Path = append(above.Path[:len(above.Path):len(above.Path)], f.env.Name)
}

// Agents implements [Directory].
func (d *lentDirectory) Agents() []Info { return d.dir.Agents() }

// Agent implements [Directory].
func (d *lentDirectory) Agent(name string) (Info, bool) { return d.dir.Agent(name) }

// A lentPublisher is a publisher in the hands of one agent.
type lentPublisher struct {
	pub    Publisher
	source string
}

// Publish implements [Publisher].
func (p *lentPublisher) Publish(ctx context.Context, e Event) error {
	if e.ID == "" {
		e.ID = newID()
	}
	e.Source = p.source
	return p.pub.Publish(ctx, e)
}
