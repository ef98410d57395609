package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

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

// maxOdd is how many warnings about results a session logs.
const maxOdd = 100

// oddities are the warnings that were logged.
type oddities struct {
	mu   sync.Mutex
	said map[string]bool
}

// first reports whether a warning was not logged yet, and may be.
func (o *oddities) first(warning string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.said[warning] || len(o.said) >= maxOdd {
		return false
	}
	if o.said == nil {
		o.said = map[string]bool{}
	}
	o.said[warning] = true
	return true
}

// errClosed is why a session ended that its owner closed.
var errClosed = errors.New("the session was closed")

// errEnding refuses calls of a session whose end is not explained yet.
var errEnding = errors.New("the session is ending")

// endedError is the end of a session for a call that did not run, in the words of its cause.
type endedError struct{ cause error }

func (e endedError) Error() string { return e.cause.Error() }
func (e endedError) Unwrap() error { return e.cause }

// Is says that it is a [communicator.ErrEnded].
func (e endedError) Is(target error) bool { return target == communicator.ErrEnded }

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
	pages   int   // there are more pages than these; 0: that is all
	cut     bool  // a page could not be read
	err     error // there is no list
}

// failed reports whether the server may say more when it is asked again.
func (r *reading) failed() bool {
	var large *wire.TooLargeError
	return r.cut || r.err != nil && !errors.As(r.err, &large)
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
	// lists that the server says it has, and others that it is asked for nevertheless
	has, tried uint32
	// lists that are being read, and those that have changed since that began
	reading, again uint32
	first          uint32     // lists that were not read yet
	pages          [lists]int // what is known of these
	fails          [lists]int // readings in a row that have failed
}

// failed is how often that list could not be read which failed least; 0: none failed, but for those
// that are being read.
func (o *offer) failed() int {
	least := 0
	for l := range lists {
		if n := o.fails[l]; n > 0 && o.reading&l.bit() == 0 && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}

// info is all of it.
func (o *offer) info() agent.Info {
	out := o.base
	out.Tools, out.Prompts = o.tools, o.prompts
	out.Resources = slices.Concat(o.resources, o.templates)
	for l := range lists {
		out.LeftOut = append(out.LeftOut, o.leftOut[l]...)
		if o.first&l.bit() != 0 {
			reason := "the server has not answered yet"
			if n := o.pages[l]; n > 0 {
				reason = fmt.Sprintf("the server has not answered for page %d yet", n+1)
			}
			out.LeftOut = append(out.LeftOut, agent.LeftOut{Kind: "list", Name: l.method(), Reason: reason})
		}
	}
	return out
}

// A life is when a server was heard of.
type life struct {
	began   time.Time
	heard   atomic.Int64 // nanoseconds after began
	suspect atomic.Bool
	silent  chan struct{} // a token: a call has run into its deadline in silence

	mu sync.Mutex
	// owed is the deadline of a call that was given up before it: the server may still work on it.
	owed time.Time
}

// hear notes a message of the server.
func (l *life) hear() { l.heard.Store(int64(time.Since(l.began))) }

// last is when there was one.
func (l *life) last() time.Time { return l.began.Add(time.Duration(l.heard.Load())) }

// quiet is how long there was none.
func (l *life) quiet() time.Duration { return time.Since(l.began) - time.Duration(l.heard.Load()) }

// since reports whether there was one after t.
func (l *life) since(t time.Time) bool { return time.Duration(l.heard.Load()) > t.Sub(l.began) }

// giveUp notes that a call was given up which began then. Many that run into their deadlines in
// silence are one reason to ask the server.
func (l *life) giveUp(ctx context.Context, began time.Time) {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && !l.since(began) {
		select {
		case l.silent <- struct{}{}:
		default:
		}
	}
	at, ok := ctx.Deadline()
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if at.After(l.owed) {
		l.owed = at
	}
}

// settle forgets the silence of calls that have ended: the server was asked.
func (l *life) settle() {
	select {
	case <-l.silent:
	default:
	}
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
