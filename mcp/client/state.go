package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// cancels end the calls in flight with the session. A watcher for each call would cost more than
// this.
type cancels struct {
	mu   sync.Mutex
	last uint64
	open map[uint64]context.CancelCauseFunc
	over error // why there can be no more
}

// add must be followed by remove.
func (c *cancels) add(cancel context.CancelCauseFunc) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != nil {
		cancel(c.over)
	}
	if c.open == nil {
		c.open = map[uint64]context.CancelCauseFunc{}
	}
	c.last++
	c.open[c.last] = cancel
	return c.last
}

func (c *cancels) remove(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, n)
}

func (c *cancels) end(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = why
	for _, cancel := range c.open {
		cancel(why)
	}
}

// background are what a session still does for calls that have ended.
type background struct {
	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

// run does f aside, within codec.CloseTimeout, unless the session is over.
func (e *background) run(f func(context.Context)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), codec.CloseTimeout)
		defer cancel()
		f(ctx)
	})
}

// finish lets no more begin, and waits.
func (e *background) finish() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.wg.Wait()
}

// maxUpdates is how many changed resources wait to be told of. More are lost: whoever subscribes to
// so many reads them now and then anyway.
const maxUpdates = 1000

// changedResources gathers the resources that a server says have changed, each once.
type changedResources struct {
	mu   sync.Mutex
	uris map[string]bool
}

func (u *changedResources) take() map[string]bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := u.uris
	u.uris = nil
	return out
}

// errClosed is why a session ended that its owner closed.
var errClosed = errors.New("the session was closed")

// A list is one of a server's lists.
type list int

const (
	listTools list = iota
	listPrompts
	listResources
	listTemplates
	lists // how many there are
)

// method is what a list is asked for with, and what people know it by.
func (l list) method() string {
	return [lists]string{"tools/list", "prompts/list", "resources/list", "resources/templates/list"}[l]
}

// kind is what a list holds.
func (l list) kind() string { return [lists]string{"tool", "prompt", "resource", "template"}[l] }

// bit marks a list in a set of them.
func (l list) bit() uint32 { return 1 << l }

// in reports whether a server says that it has the list.
func (l list) in(has *sdk.ServerCapabilities) bool {
	return [lists]bool{has.Tools != nil, has.Prompts != nil, has.Resources != nil, has.Resources != nil}[l]
}

// A reading is what a server says of one of its lists.
type reading struct {
	list    list
	put     func(*offer) // puts the items in their place
	leftOut []agent.LeftOut
	more    int   // left out beyond what leftOut has
	err     error // there is no list
}

// An offer is what a server offers, list by list. One goroutine has it: Connect's, then
// relist.
type offer struct {
	base      agent.Info // without lists
	tools     []agent.ToolInfo
	prompts   []agent.PromptInfo
	resources []agent.ResourceInfo
	templates []agent.ResourceInfo
	leftOut   [lists][]agent.LeftOut
	// lists that are being read, and those that have changed since that began
	reading, again uint32
	first          uint32 // lists that were not read yet
}

// info is all of it.
func (o *offer) info() agent.Info {
	out := o.base
	out.Tools, out.Prompts = o.tools, o.prompts
	out.Resources = slices.Concat(o.resources, o.templates)
	for l := range lists {
		out.LeftOut = append(out.LeftOut, o.leftOut[l]...)
		if o.first&l.bit() != 0 {
			out.LeftOut = append(out.LeftOut, agent.LeftOut{Kind: "list", Name: l.method(),
				Reason: "the server has not answered yet"})
		}
	}
	return out
}

// A prober asks for signs of life, one question at a time.
type prober struct {
	turn chan struct{}
	last sign
	well time.Time // when the session was last known to live
	// refused are the calls that wait for the others to end.
	refused atomic.Int32
}

// A sign is the answer to a ping.
type sign struct {
	alive   bool
	refused bool           // answered as no session that the server knows is
	rpc     *jsonrpc.Error // the error that it was answered with
}
