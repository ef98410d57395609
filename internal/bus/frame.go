package bus

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
)

// version is the major version of this wire format.
const version = "1"

// The kinds of frames. A receiver that does not know a later kind of version 1 ignores it.
const (
	KindCall      = "call"      // do this
	KindCancel    = "cancel"    // the caller does not wait any more
	KindReply     = "reply"     // the end of a call
	KindHeartbeat = "heartbeat" // the call is still being served
	KindNotice    = "notice"    // progress or a log line, while a call runs
	KindAsk       = "ask"       // a question to the caller, while a call runs
	KindAnswer    = "answer"    // the answer to an ask
	KindEvent     = "event"     // something happened
	KindPresence  = "presence"  // a process reports that it is there
)

// The names of presence frames. Their source is the process. Without a payload, the last one holds.
const (
	PresenceHello = "hello" // it has just come, or was cut off: the others report too
	PresenceHere  = "here"
	PresenceGone  = "gone" // it leaves in order
)

// OpInfo is the operation that communicators answer themselves: what the agent offers.
const OpInfo = "info"

// The kinds of payloads.
const (
	BodyResumed    = "resumed"    // of a call: input, inputs and state
	BodyStructured = "structured" // a JSON value
	BodyResult     = "result"     // an agent.Result
	BodyMCP        = "mcp"        // the result of a tool as a foreign MCP server sent it
	BodyError      = "error"      // an agent.Error
)

// MaxMetadata is how many bytes of metadata, keys and values, a frame may have.
const MaxMetadata = 16 << 10

const metaPrefix = "meta-"

// A Frame is a message as docs/wire.md describes it. Fields that are zero are not sent.
type Frame struct {
	Kind, Ref, ReplyTo       string
	Op, Agent, Name, ID      string
	Timeout, Sent            int64 // ms
	Caller, Instance, User   string
	Root, Path, Key          string
	Depth, Attempt           int
	Back, Untrusted          bool
	Body, Ask, Topic, Source string
	Meta                     map[string]string
	Payload                  []byte
}

// Encode makes the message. Too much metadata, or a payload of more than maxPayload bytes unless
// that is 0, is resource_exhausted and not executed.
func (f *Frame) Encode(maxPayload int) (*message.Message, *agent.Error) {
	m := &message.Message{Metadata: make(message.Metadata, f.fields())}
	if refused := f.Fill(m, maxPayload); refused != nil {
		return nil, refused
	}
	return m, nil
}

// Fill is Encode into an empty message.
func (f *Frame) Fill(m *message.Message, maxPayload int) *agent.Error {
	w := writer{md: m.Metadata}
	w.plain("v", version)
	w.plain("kind", f.Kind)
	w.plain("ref", f.Ref)
	w.plain("reply-to", f.ReplyTo)
	w.text("op", f.Op)
	w.plain("agent", f.Agent)
	w.text("name", f.Name)
	w.text("id", f.ID)
	w.number("timeout", f.Timeout)
	w.number("sent", f.Sent)
	w.text("caller", f.Caller)
	w.text("instance", f.Instance)
	w.text("user", f.User)
	if f.Untrusted {
		w.plain("untrusted", "1")
	}
	w.text("root", f.Root)
	w.plain("path", f.Path)
	w.text("key", f.Key)
	w.number("depth", int64(f.Depth))
	if f.Attempt > 1 {
		w.number("attempt", int64(f.Attempt))
	}
	if f.Back {
		w.plain("back", "1")
	}
	w.plain("body", f.Body)
	w.plain("ask", f.Ask)
	w.plain("topic", f.Topic)
	w.text("source", f.Source)
	for k, v := range f.Meta {
		if isTrace(k) {
			w.text(k, v)
		} else {
			w.meta(k, v)
		}
	}
	if w.size > MaxMetadata {
		return agent.Refusedf(agent.CodeResourceExhausted, "%d bytes of metadata, at most %d are allowed", w.size,
			MaxMetadata)
	}
	if maxPayload > 0 && len(f.Payload) > maxPayload {
		return agent.Refusedf(agent.CodeResourceExhausted, "a body of %d bytes, at most %d are allowed", len(f.Payload),
			maxPayload)
	}
	m.UUID, m.Payload = cmp.Or(f.Ref, f.ID), f.Payload
	return nil
}

// fields is about how many entries the metadata will have: a map that need not grow is cheaper.
func (f *Frame) fields() int {
	switch f.Kind {
	case KindCall:
		return 15 + len(f.Meta)
	case KindEvent:
		return 8 + len(f.Meta)
	}
	return 5
}

// isTrace reports whether a key is of the W3C trace context, which keeps its own names, so that any
// tool finds it.
func isTrace(key string) bool { return key == "traceparent" || key == "tracestate" || key == "baggage" }

// A writer fills metadata and counts its size.
type writer struct {
	md   message.Metadata
	size int
}

func (w *writer) plain(key, value string) {
	if value != "" {
		w.md[key] = value
		w.size += len(key) + len(value)
	}
}

func (w *writer) text(key, value string) { w.plain(key, escape(value, "")) }

func (w *writer) number(key string, n int64) {
	if n != 0 {
		w.plain(key, strconv.FormatInt(n, 10))
	}
}

// meta writes empty values too: that the key is there may matter.
func (w *writer) meta(key, value string) {
	key, value = metaPrefix+escapeKey(key), escape(value, "")
	w.md[key] = value
	w.size += len(key) + len(value)
}

// Decode reads a message. On an error the frame has kind, ref, reply-to and agent as far as they
// could be read, so that it can be answered; the error is unimplemented for a newer major version
// and internal for what is malformed.
func Decode(m *message.Message) (Frame, *agent.Error) {
	f := Frame{Payload: m.Payload}
	r := reader{}
	v := ""
	for k, s := range m.Metadata {
		switch k {
		case "v":
			v = s
		case "kind":
			f.Kind = s
		case "ref":
			f.Ref = s
		case "reply-to":
			f.ReplyTo = s
		case "op":
			f.Op = r.text(k, s)
		case "agent":
			f.Agent = s
		case "name":
			f.Name = r.text(k, s)
		case "id":
			f.ID = r.text(k, s)
		case "timeout":
			f.Timeout = r.number(k, s)
		case "sent":
			f.Sent = r.number(k, s)
		case "caller":
			f.Caller = r.text(k, s)
		case "instance":
			f.Instance = r.text(k, s)
		case "user":
			f.User = r.text(k, s)
		case "untrusted":
			f.Untrusted = s == "1"
		case "root":
			f.Root = r.text(k, s)
		case "path":
			f.Path = s
		case "key":
			f.Key = r.text(k, s)
		case "depth":
			f.Depth = r.small(k, s)
		case "attempt":
			f.Attempt = r.small(k, s)
		case "back":
			f.Back = s == "1"
		case "body":
			f.Body = s
		case "ask":
			f.Ask = s
		case "topic":
			f.Topic = s
		case "source":
			f.Source = r.text(k, s)
		default:
			if name, ok := strings.CutPrefix(k, metaPrefix); ok {
				f.setMeta(r.text(k, name), r.text(k, s))
			} else if isTrace(k) && s != "" {
				f.setMeta(k, r.text(k, s))
			} // else: a broker's own, or a later addition to version 1
		}
	}
	if f.Attempt == 0 && f.Kind == KindCall {
		f.Attempt = 1
	}
	if err := checkVersion(v); err != nil {
		return f, err
	}
	if r.err == nil && f.Kind == "" {
		r.fail("kind", "")
	}
	return f, r.err
}

func (f *Frame) setMeta(k, v string) {
	if f.Meta == nil {
		f.Meta = map[string]string{}
	}
	f.Meta[k] = v
}

func checkVersion(v string) *agent.Error {
	if v == version {
		return nil
	}
	major, _, _ := strings.Cut(v, ".")
	switch n, err := strconv.ParseUint(major, 10, 32); {
	case err != nil || n == 0:
		return agent.Refusedf(agent.CodeInternal, "a malformed message: v is %.40q", v)
	case n > 1:
		return agent.Refusedf(agent.CodeUnimplemented, "a message of version %.40s, version %s is spoken here", v,
			version)
	}
	return nil
}

// A reader keeps the first error.
type reader struct{ err *agent.Error }

func (r *reader) fail(key, value string) {
	if r.err == nil {
		r.err = agent.Refusedf(agent.CodeInternal, "a malformed message: %.60s is %.40q", key, value)
	}
}

func (r *reader) text(key, s string) string {
	out, ok := unescape(s)
	if !ok {
		r.fail(key, s)
	}
	return out
}

func (r *reader) number(key, s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		r.fail(key, s)
		return 0
	}
	return n
}

func (r *reader) small(key, s string) int {
	n := r.number(key, s)
	if n > 1<<20 {
		r.fail(key, s)
		return 0
	}
	return int(n)
}
