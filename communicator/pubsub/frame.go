package pubsub

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
)

// version is the major version of the wire format that is spoken here.
const version = "1"

// The kinds of frames. Later ones of version 1 are ignored by those that do not know them.
const (
	kindCall      = "call"      // do this
	kindCancel    = "cancel"    // the caller gave up
	kindReply     = "reply"     // the end of a call
	kindHeartbeat = "heartbeat" // the call is not forgotten
	kindNotice    = "notice"    // progress or a log line, while a call runs
	kindAsk       = "ask"       // a question to the caller, while a call runs
	kindAnswer    = "answer"    // the answer to an ask
	kindEvent     = "event"     // something happened
)

// opInfo is the operation that communicators answer themselves: what does the agent offer?
const opInfo = "info"

// What a payload is.
const (
	bodyResumed    = "resumed"    // of a call: input, inputs and state
	bodyStructured = "structured" // a JSON value
	bodyResult     = "result"     // an agent.Result
	bodyError      = "error"      // an agent.Error
)

const metaPrefix = "meta-"

// A frame is a message as the package documentation describes it. Zero fields are not sent.
type frame struct {
	kind, ref, replyTo       string
	op, agent, name, id      string
	timeout, sent            int64 // ms
	caller, key              string
	depth, attempt           int
	back                     bool
	body, ask, topic, source string
	meta                     map[string]string
	payload                  []byte
}

// encode makes the message. It refuses metadata that is too large, and a payload of more than
// maxPayload bytes unless that is 0: nothing was sent then.
func (f *frame) encode(maxPayload int) (*message.Message, *agent.Error) {
	m := &message.Message{Metadata: make(message.Metadata, f.fields())}
	if refused := f.fill(m, maxPayload); refused != nil {
		return nil, refused
	}
	return m, nil
}

// fill is encode into an empty message.
func (f *frame) fill(m *message.Message, maxPayload int) *agent.Error {
	w := writer{md: m.Metadata}
	w.plain("v", version)
	w.plain("kind", f.kind)
	w.plain("ref", f.ref)
	w.plain("reply-to", f.replyTo)
	w.text("op", f.op)
	w.plain("agent", f.agent)
	w.text("name", f.name)
	w.text("id", f.id)
	w.number("timeout", f.timeout)
	w.number("sent", f.sent)
	w.text("caller", f.caller)
	w.text("key", f.key)
	w.number("depth", int64(f.depth))
	if f.attempt > 1 {
		w.number("attempt", int64(f.attempt))
	}
	if f.back {
		w.plain("back", "1")
	}
	w.plain("body", f.body)
	w.plain("ask", f.ask)
	w.plain("topic", f.topic)
	w.text("source", f.source)
	for k, v := range f.meta {
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
	if maxPayload > 0 && len(f.payload) > maxPayload {
		return agent.Refusedf(agent.CodeResourceExhausted, "a body of %d bytes, at most %d are allowed", len(f.payload),
			maxPayload)
	}
	m.UUID, m.Payload = cmp.Or(f.ref, f.id), f.payload
	return nil
}

// fields is about how many entries the metadata will have: a map that need not grow is cheaper.
func (f *frame) fields() int {
	switch f.kind {
	case kindCall:
		return 13 + len(f.meta)
	case kindEvent:
		return 8 + len(f.meta)
	}
	return 5
}

// W3C trace context goes under its own names, so that any tool finds it.
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

// decode reads a message. On an error the frame has kind, ref, reply-to and agent as far as they
// could be read, so that it can be answered; the error is unimplemented for a newer major version
// and internal for what is malformed.
func decode(m *message.Message) (frame, *agent.Error) {
	f := frame{payload: m.Payload}
	r := reader{}
	v := ""
	for k, s := range m.Metadata {
		switch k {
		case "v":
			v = s
		case "kind":
			f.kind = s
		case "ref":
			f.ref = s
		case "reply-to":
			f.replyTo = s
		case "op":
			f.op = r.text(k, s)
		case "agent":
			f.agent = s
		case "name":
			f.name = r.text(k, s)
		case "id":
			f.id = r.text(k, s)
		case "timeout":
			f.timeout = r.number(k, s)
		case "sent":
			f.sent = r.number(k, s)
		case "caller":
			f.caller = r.text(k, s)
		case "key":
			f.key = r.text(k, s)
		case "depth":
			f.depth = r.small(k, s)
		case "attempt":
			f.attempt = r.small(k, s)
		case "back":
			f.back = s == "1"
		case "body":
			f.body = s
		case "ask":
			f.ask = s
		case "topic":
			f.topic = s
		case "source":
			f.source = r.text(k, s)
		default:
			if name, ok := strings.CutPrefix(k, metaPrefix); ok {
				f.setMeta(r.text(k, name), r.text(k, s))
			} else if isTrace(k) && s != "" {
				f.setMeta(k, r.text(k, s))
			} // else: a broker's own, or a later addition to version 1
		}
	}
	if f.attempt == 0 && f.kind == kindCall {
		f.attempt = 1
	}
	if err := checkVersion(v); err != nil {
		return f, err
	}
	if r.err == nil && f.kind == "" {
		r.fail("kind", "")
	}
	return f, r.err
}

func (f *frame) setMeta(k, v string) {
	if f.meta == nil {
		f.meta = map[string]string{}
	}
	f.meta[k] = v
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
