// Package client makes sessions to MCP servers: programs that it starts and speaks to on stdio, and
// servers that are reached by URL, over streamable HTTP or HTTP+SSE.
//
//   - [Connect] starts or dials the server that a [Target] describes, and returns a [Session] when
//     the handshake is over and the server's tools are known. [Options] bound it.
//   - A [Session] is a communicator.Peer: it takes any number of calls at once, and passes what the
//     server reports and asks while one runs to the caller of that call. It pings the server, and
//     ends when the server or its program does. It does not come back by itself.
//   - A [ConnectError] says why there is no session. The errors of calls are [agent.Error]s, which
//     say whether the call may have run.
//   - A [Dialer] is the client half of a communicator: it reaches agents that package server
//     offers, each at an endpoint of its own.
//
// A server is a foreign program unless its target is [Target.Trusted]: what it says about errors,
// and about the effects of its tools, is not taken for true.
package client

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/child"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// A Session is one connection to an MCP server, with the program behind it if we started it: a
// [communicator.Peer]. It takes any number of calls at once. It does not come back when it is over:
// see Done.
type Session struct {
	target Target
	opts   Options
	log    *slog.Logger
	link   *link
	sdk    *sdk.ClientSession
	limit  int // bytes of a call's input

	gate      calls.Gate
	calls     cancels
	backs     backChannels
	fast      fastSender         // nil: the SDK sends everything
	pending   codec.PendingCalls // of the fast path
	fastCalls atomic.Int64
	after     background
	// members of the `_meta` of each request with protocol 2026-07-28, as JSON
	statelessMeta []byte
	headerTools   atomic.Pointer[map[string]bool] // tools that want some of their arguments in headers as well
	keepCancels   *atomic.Bool                    // the server is not told of cancellations
	greeted       atomic.Bool                     // the server has answered the handshake
	// the capabilities that the server answered with are no object
	oddCapabilities atomic.Bool
	owner           *backChannel // takes and answers what belongs to no call; nil: nobody does
	prober          prober
	life            life
	abandoned       atomic.Bool // a call was sent and not waited for
	odd             oddities
	questions       chan struct{} // a token for each question of the server that is being answered

	info       atomic.Pointer[agent.Info]
	offer      offer
	readings   chan reading
	listed     chan struct{} // closed when each list was read once
	listedOnce sync.Once
	stale      atomic.Uint32 // the lists that have changed
	refresh    chan struct{}
	updates    changedResources

	ctx      context.Context // of all calls, questions and refreshes
	end      context.CancelCauseFunc
	closing  context.Context // of the taking down; ends when a Close has no more time
	cutShort context.CancelFunc
	work     sync.WaitGroup
	done     chan struct{}
	ending   chan struct{} // closed when the connection has ended by itself, and it is known why
	why      error         // set before ending is closed
	err      error         // set before done is closed
	closed   chan struct{}
	closeErr error // set before closed is closed: how the child ended
}

var _ communicator.Peer = (*Session)(nil)

// maxQuestions is how many questions of the server are answered at once.
const maxQuestions = 64

func newSession(t Target, o Options, l *link) *Session {
	s := &Session{target: t, opts: o, log: o.Logger, link: l, limit: o.inputLimit(t.Transport),
		questions: make(chan struct{}, maxQuestions),
		readings:  make(chan reading, lists), listed: make(chan struct{}),
		refresh: make(chan struct{}, 1), ending: make(chan struct{}), done: make(chan struct{}),
		closed: make(chan struct{})}
	s.backs.log = o.Logger
	s.prober.turn = make(chan struct{}, 1)
	s.life.began, s.life.silent = time.Now(), make(chan struct{}, 1)
	s.ctx, s.end = context.WithCancelCause(context.Background())
	context.AfterFunc(s.ctx, func() { s.calls.end(context.Cause(s.ctx)) })
	s.closing, s.cutShort = context.WithCancel(context.Background())
	s.info.Store(&agent.Info{Name: t.Name})
	if o.Back != nil {
		s.owner = newBackChannel(s.ctx, o.Logger, o.Back)
	}
	return s
}

// supervise waits for the end, whoever causes it, and takes everything down.
func (s *Session) supervise() {
	defer close(s.closed)
	lost := make(chan error, 1)
	go func() { lost <- s.sdk.Wait() }() // ends with the connection, which is closed below
	var exited, broken <-chan struct{}
	if s.link.child != nil && s.link.line == nil {
		exited = s.link.child.Done()
	}
	if s.link.conn != nil {
		broken = s.link.conn.Done()
	}
	var why error
	select {
	case <-s.ctx.Done():
		why = context.Cause(s.ctx)
	case <-broken:
		why = s.link.conn.Err()
	case <-exited:
		why = io.EOF
	case err := <-lost:
		if why = err; err == nil {
			why = io.EOF
		}
		lost <- nil
	}
	s.gate.Shut()
	if cause := context.Cause(s.ctx); cause != nil {
		why = cause // somebody knew better, and the program need not have ended
	} else {
		if exit := s.link.awaitExit(); exit != nil {
			why = exit
		}
		why = fmt.Errorf("the session ended: %w", codec.WithoutURL(why))
		s.why = why
		s.calls.note()
		close(s.ending)
	}
	s.err = agent.Refusedf(agent.CodeUnavailable, "%s: %w", &s.target, endedError{why})
	if s.ctx.Err() == nil {
		// Answers that came before the end are still on their way to their calls; the others fail
		// by themselves.
		last, cancel := context.WithTimeout(s.closing, answerGrace)
		_ = s.gate.Wait(last) // what does not return is cancelled
		cancel()
	}
	s.end(why)
	close(s.done)

	if s.link.http != nil {
		s.endSession()
	}
	s.closeErr = s.link.close(s.closing)
	_ = s.sdk.Close() // returns when the handlers have: the connection is closed
	<-lost            //nolint:errcheck // why it ended has been said
	s.work.Wait()
	s.after.finish() // the connection is closed: nothing is sent any more
	if s.owner != nil {
		s.owner.finish(s.closing)
	}
	s.cutShort()
}

// answerGrace is how long calls may take to return when their connection has ended: to decode an
// answer, to deliver notices.
const answerGrace = time.Second

// endSession ends a session over HTTP well: the server hears that its calls are cancelled, which it
// need not conclude from a connection that closes, and of the end.
func (s *Session) endSession() {
	ctx, cancel := context.WithTimeout(s.closing, codec.CloseTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, s.link.abort)()
	if s.gate.Wait(ctx) == nil && s.abandoned.Load() && !s.stateless() {
		flushCancellations(ctx, s.sdk)
	}
	s.after.finish()
	_ = s.sdk.Close() // the server's opinion of it does not matter any more
}

// Info describes the server: what it offers now, its instructions and its version. What a server
// that is not trusted says about its tools' effects is in it; only the target's owner knows whether
// to believe it. It must not be changed.
func (s *Session) Info() agent.Info { return *s.info.Load() }

// Pid is the number of the program, 0 if the session is not to one that it started.
func (s *Session) Pid() int {
	if s.link.child == nil {
		return 0
	}
	return s.link.child.Pid()
}

// ProtocolVersion is the version that the server chose.
func (s *Session) ProtocolVersion() string { return s.sdk.InitializeResult().ProtocolVersion }

// stateless reports whether the protocol is one without sessions.
func (s *Session) stateless() bool { return s.ProtocolVersion() > codec.Version20251125 }

// ID is what the server calls the session, or empty.
func (s *Session) ID() string { return s.sdk.ID() }

// Done is closed when the session takes no more calls, because it was closed, or the server, its
// program or the connection is gone. The program may still be about to end: Close waits for it, and
// has to be called in any case.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err says why the session is over; nil until Done.
func (s *Session) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Cut is what was in flight when the session ended; empty until Done.
func (s *Session) Cut() Cut {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	if s.calls.cut == nil {
		return Cut{}
	}
	return *s.calls.cut
}

// Transport is the one that the session was made over.
func (s *Session) Transport() mcp.Transport { return s.target.Transport }

// Close ends the session: calls in flight fail, the program is asked to end and after some time
// made to. It returns when all of it is gone. When ctx ends first, the program is killed and
// nothing more waited for politely. The error tells that the program had to be killed, or is still
// there.
func (s *Session) Close(ctx context.Context) error {
	s.gate.Shut()
	s.end(errClosed)
	defer context.AfterFunc(ctx, s.cutShort)()
	select {
	case <-s.closed:
		return s.closeErr
	case <-ctx.Done():
	}
	timer := time.NewTimer(closeGrace)
	defer timer.Stop()
	select {
	case <-s.closed:
		return s.closeErr
	case <-timer.C:
		return fmt.Errorf("close %s: something still runs %v after the time was up: %w", &s.target, closeGrace,
			context.Cause(ctx))
	}
}

// StopSignal is the last signal that the program got because it had not ended when its standard
// input was closed: SIGTERM, or SIGKILL, which is in the error of Close too; empty: none, or there
// is no program. It is known after Close.
func (s *Session) StopSignal() string {
	if s.link.child == nil {
		return ""
	}
	return s.link.child.StopSignal()
}

// ErrKilled is in the error of [Session.Close] for a program that had to be killed.
var ErrKilled = child.ErrKilled

// closeGrace is for what a Close without time cannot do at once: reap a killed program, end a
// callback.
const closeGrace = 5 * time.Second

// A fastSender carries calls of the fast path to the server, under ids that the caller chose.
type fastSender interface {
	// call sends the request id, a call of the tool name, and waits for its answer; msg is valid
	// until then. What the session's hook gets for the request comes on answer. An error says why
	// there is no answer.
	call(ctx context.Context, id codec.FastID, answer <-chan codec.Response, name string, msg []byte) (codec.Response,
		error)
	// cancel tells the server that the answer to a call that was sent, and whose ctx has ended, is
	// not waited for. It may be lost.
	cancel(ctx context.Context, id codec.FastID)
}

// logLevel is that of the messages that the server is to send.
func (s *Session) logLevel() sdk.LoggingLevel {
	if s.target.Trusted {
		return "debug" // ours logs what its agents say to their caller, who decides
	}
	return "info"
}
