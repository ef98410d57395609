package bus

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strconv"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
)

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
	w.text("keeper", f.Keeper)
	w.number("depth", int64(f.Depth))
	w.text("budget", f.Budget)
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

// Marshal encodes what a frame carries. It is [json.Marshal] but for <, > and &, which stay what
// they are: in a value of a foreign program they may be written either way.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
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
