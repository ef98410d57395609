package client

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// A step of a handshake is what the server is to do next: "answer initialize".
type step string

// what is what it is to answer.
func (s step) what() string { return strings.TrimPrefix(string(s), "answer ") }

// later reports whether the server had answered something before.
func (s step) later() bool {
	what, answers := strings.CutPrefix(string(s), "answer ")
	return answers && what != "initialize" && what != codec.MethodDiscover
}

// past is the step as something that was done: "answered initialize".
func (s step) past() string {
	verb, rest, _ := strings.Cut(string(s), " ")
	return strings.TrimRight(strings.TrimSuffix(verb, "e")+"ed "+rest, " ")
}

// steps follows a handshake.
type steps struct {
	now  atomic.Pointer[step]
	tell func(string) // nil: nobody wants to know
}

func (s *steps) next(to step) {
	s.now.Store(&to)
	if s.tell != nil {
		s.tell("it did not " + string(to) + " yet")
	}
}

// last is the step that the handshake came to.
func (s *steps) last() step {
	if now := s.now.Load(); now != nil {
		return *now
	}
	return "start"
}

// asked takes the requests of the SDK's client for steps, until over is set.
func (s *steps) asked(over *atomic.Bool) sdk.Middleware {
	return func(next sdk.MethodHandler) sdk.MethodHandler {
		return func(ctx context.Context, method string, r sdk.Request) (sdk.Result, error) {
			if !over.Load() && !strings.HasPrefix(method, "notifications/") {
				s.next(step("answer " + method))
			}
			return next(ctx, method, r)
		}
	}
}

// mendHello gives the answer that begins the session what it surely means, where a member of it has
// the wrong type: the SDK would refuse the server for it.
func (s *Session) mendHello(env *wire.Envelope) {
	if s.greeted.Load() || env.Method != nil || len(env.Result) == 0 {
		return
	}
	mended, odd := codec.MendHello(env.Result)
	if len(odd) == 0 {
		return
	}
	env.Result = mended
	s.oddCapabilities.Store(slices.Contains(odd, "capabilities"))
	s.log.Warn("the server's answer to the handshake is not as MCP has it: it is read as it is surely meant",
		"members", strings.Join(odd, ", "))
}

// maxBuild bounds how long a program may say that it is being built: between the lines
// [mcp.Building] and [mcp.Built] the handshake's time does not pass.
const maxBuild = 10 * time.Minute

// handshakeContext bounds a handshake by d, like context.WithTimeoutCause. For a launched program
// it listens in on what t says.
func handshakeContext(ctx context.Context, t *Target, d time.Duration) (context.Context, context.CancelFunc) {
	if len(t.Command) == 0 || t.Hello != nil { // one with a hello line is our own executable
		return context.WithTimeoutCause(ctx, d, errHandshake)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var mu sync.Mutex
	limit := time.AfterFunc(d, func() { cancel(errHandshake) })
	heard, building, over := t.Stderr, false, false
	t.Stderr = func(line []byte) {
		mu.Lock()
		if begins := bytes.HasPrefix(line, []byte(mcp.Building)); !over &&
			(begins && !building || building && bytes.HasPrefix(line, []byte(mcp.Built))) {
			wait := d
			if building = begins; begins {
				wait = maxBuild
			} else {
				over = true // once is enough
			}
			if limit.Stop() {
				limit.Reset(wait)
			}
		}
		mu.Unlock()
		if heard != nil {
			heard(line)
		}
	}
	return ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
		limit.Stop()
		cancel(nil)
	}
}
