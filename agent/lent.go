package agent

import "context"

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
	c.From, c.Root, c.Path, c.Depth = d.from, c.ID, d.path, 0
	if f == nil || f.call == nil {
		return
	}
	above := f.call
	c.From.User, c.Root, c.Depth = above.From.User, above.Root, above.Depth+1
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
