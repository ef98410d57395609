package bus

import (
	"strconv"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
)

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
		case "keeper":
			f.Keeper = r.text(k, s)
		case "depth":
			f.Depth = r.small(k, s)
		case "budget":
			f.Budget = r.text(k, s)
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
