package client

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/child"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// Options are the limits and callbacks of a session. The zero value means the defaults.
type Options struct {
	// Logger; nil: slog.Default().
	Logger *slog.Logger
	// Version of this program, for the server's eyes; "dev" by default.
	Version string
	// HandshakeTimeout bounds the connecting, from the start of the program to the lists of tools,
	// 10 s by default, and each request for a page of a list. A program that says that it is being
	// built gets the time that this takes: see [mcp.Building].
	HandshakeTimeout time.Duration
	// TimeoutKey names the setting of HandshakeTimeout, for the error when it is over; empty: none
	// is named.
	TimeoutKey string
	// OnStep is told what the handshake waits for, each time that changes: "it did not answer
	// initialize yet". It must be quick. nil: nobody wants to know.
	OnStep func(waitsFor string)
	// MaxFrame is the largest message in bytes that the server may send, and on stdio the largest
	// that is sent to it; 16 MiB by default. An answer that is larger fails its own call.
	MaxFrame int
	// FrameKey names the setting of MaxFrame, for the error of such an answer; empty: none.
	FrameKey string
	// MaxBody is the largest message in bytes that is sent over HTTP; 4 MiB by default.
	MaxBody int
	// Back answers and hears what the server asks and says outside of any call. nil: it is refused,
	// and dropped.
	Back agent.BackChannel
	// Visits tells the server that it may ask users to visit pages, MCP's elicitation of mode
	// "url": some callers can be asked that, by [agent.BackChannelFuncs.ElicitURL]. A server that
	// is trusted is told so in any case: it only passes on what others ask.
	Visits bool
	// OnChanged is told of each change of the server's lists. It is called by one goroutine, which
	// Close waits for: it must not wait for Close.
	OnChanged func(agent.Info)
	// OnUpdated is told of each change of a resource that [Session.Subscribe] was called with, like
	// OnChanged; changes in quick succession count as one.
	OnUpdated func(uri string)
	// PingInterval is how long a server may say nothing until it is suspect, 5 s by default. It is
	// pinged 2.5 s before, or half of the interval. An answer is late after 2 s; it is asked again;
	// when it has said nothing to three pings, and the deadlines of all calls that it had have
	// passed, the session ends. On Linux a program that was suspended by a signal ends it too,
	// within 10 s. A call that runs into its deadline in silence has the server pinged at once, and
	// ends no session. Negative: nothing of that.
	PingInterval time.Duration
	// OnSuspect is told when a ping is late, and when the server has said something again. It must
	// be quick. nil: nobody wants to know.
	OnSuspect func(suspect bool)
	// StdinGrace is the time between closing a program's stdin and SIGTERM, 2 s by default;
	// TermGrace from there to SIGKILL, 3 s by default. Negative: none.
	StdinGrace, TermGrace time.Duration
	// NoFastPath leaves all messages to the SDK. Calls of tools are slower then, and do the same.
	NoFastPath bool
}

// envelopeRoom is what a message may have beyond its input: names, metadata, JSON-RPC.
const envelopeRoom = 64 << 10

// WithDefaults returns o with a default in each place that is empty.
func (o Options) WithDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.HandshakeTimeout <= 0 {
		o.HandshakeTimeout = 10 * time.Second
	}
	if o.PingInterval == 0 {
		o.PingInterval = 5 * time.Second
	}
	if o.MaxFrame <= 0 {
		o.MaxFrame = 16 << 20
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 4 << 20
	}
	grace := child.Grace{Stdin: o.StdinGrace, Term: o.TermGrace}.WithDefaults()
	o.StdinGrace, o.TermGrace = grace.Stdin, grace.Term
	return o
}

// tooLarge says which limit an answer is over.
func (o Options) tooLarge(e *wire.TooLargeError) string {
	return fmt.Sprintf("the answer has more than %d bytes, the limit%s", e.Limit, inBrackets(o.FrameKey))
}

func inBrackets(key string) string {
	if key == "" {
		return ""
	}
	return " (" + key + ")"
}

// inputLimit is the largest Call.Input in bytes. It is a round number below the limit of messages,
// so that it does not depend on what else the message says.
func (o Options) inputLimit(t mcp.Transport) int {
	o = o.WithDefaults()
	limit := o.MaxBody
	if t == mcp.Stdio {
		limit = o.MaxFrame
	}
	return max(limit-envelopeRoom, limit/2)
}
