package telemetry

import (
	"net"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
)

// maxText bounds names from strangers: they are parts of span names.
const maxText = 128

// A Hop is what the runtime knows of the way a call travels.
type Hop struct {
	// Communicator is local, pubsub, mcp-stdio, mcp-sse or mcp-http.
	Communicator string
	// System is the broker of a pubsub hop, as messaging.system: "nats", "memory". Otherwise empty.
	System string
	// Destination is where a pubsub hop's messages go, as messaging.destination.name. Otherwise
	// empty.
	Destination string
	// Instance is the callee's, as "name/0"; callees set it.
	Instance string
	// Service is whose span a callee's is, where that is not the agent that is called: the
	// gateway's part of a call is the runtime's.
	Service string
	// Entry: the call enters here. Its errors name the trace, for whoever made it.
	Entry bool
}

const (
	local  = "local"
	pubsub = "pubsub"
)

// attributes are those of every span of the hop; operation is what is done with its messages, by
// the messaging conventions.
func (h Hop) attributes(operation string) []attribute.KeyValue {
	var out []attribute.KeyValue
	if h.Communicator != "" {
		out = append(out, attribute.String("openmas.communicator", h.Communicator))
	}
	switch h.Communicator {
	case "mcp-stdio":
		out = append(out, attribute.String("network.transport", "pipe"))
	case "mcp-sse", "mcp-http":
		out = append(out, attribute.String("network.transport", "tcp"))
	}
	if h.System != "" {
		out = append(out, attribute.String("messaging.system", h.System))
		out = append(out, messaging(operation, h.Destination)...)
	}
	if h.Instance != "" {
		out = append(out, attribute.String("openmas.instance", clean(h.Instance)))
	}
	return out
}

// mcp reports whether the hop is a request of MCP.
func (h Hop) mcp() bool { return strings.HasPrefix(h.Communicator, "mcp-") }

// requestAttributes are what a request adds to the span of its call. peer is who is at the other
// end of it: client or server.
func requestAttributes(r *calls.Request, peer string) []attribute.KeyValue {
	out := make([]attribute.KeyValue, 0, 8)
	for key, value := range map[attribute.Key]string{"mcp.protocol.version": r.Version, "mcp.session.id": r.Session,
		"jsonrpc.request.id": r.ID, "network.transport": r.Network} {
		if value != "" {
			out = append(out, key.String(clean(value)))
		}
	}
	if r.Code != 0 {
		out = append(out, attribute.String("rpc.response.status_code", strconv.Itoa(r.Code)))
	}
	if r.Peer != "" {
		host, port, err := net.SplitHostPort(r.Peer)
		if err != nil {
			host = r.Peer
		}
		out = append(out, attribute.String(peer+".address", clean(host)))
		if n, err := strconv.Atoi(port); err == nil {
			out = append(out, attribute.Int(peer+".port", n))
		}
	}
	if r.Queued > 0 {
		out = append(out, attribute.Float64("openmas.queue.waited", r.Queued.Seconds()))
	}
	return out
}

// messaging are the attributes of a message that is sent to, or processed from, a destination.
func messaging(operation, destination string) []attribute.KeyValue {
	out := []attribute.KeyValue{attribute.String("messaging.operation.name", operation),
		attribute.String("messaging.operation.type", operation)}
	if destination != "" {
		out = append(out, attribute.String("messaging.destination.name", clean(destination)))
	}
	return out
}

// spanName is as the MCP conventions have it, with the agent before the name. A URI is no part of
// it: it is as good as an argument, and there are too many.
func spanName(c *agent.Call) string {
	switch c.Op {
	case agent.OpTool:
		return "tools/call " + targetOf(c)
	case agent.OpPrompt:
		return "prompts/get " + targetOf(c)
	case agent.OpResource:
		return "resources/read " + clean(c.Agent)
	case agent.OpComplete:
		return "completion/complete " + clean(c.Agent)
	case agent.OpEvent:
		return "process " + clean(c.Name)
	}
	return clean(string(c.Op)) + " " + clean(c.Agent)
}

// targetOf is AGENT.NAME; a client of a foreign system knows the name only.
func targetOf(c *agent.Call) string {
	if c.Agent == "" {
		return clean(c.Name)
	}
	return clean(c.Agent) + "." + clean(c.Name)
}

// callAttributes describe the call. room is how many more the caller will append.
func callAttributes(c *agent.Call, room int) []attribute.KeyValue {
	out := make([]attribute.KeyValue, 0, 9+room)
	if c.Agent != "" {
		out = append(out, attribute.String("gen_ai.agent.name", clean(c.Agent)))
	}
	out = append(out, attribute.String("openmas.caller", clean(c.From.String())),
		attribute.String("openmas.call.id", clean(c.ID)), attribute.Int("openmas.depth", c.Depth),
		attribute.Int("openmas.request.size", len(c.Input)))
	switch c.Op {
	case agent.OpTool:
		out = append(out, attribute.String("mcp.method.name", "tools/call"),
			attribute.String("gen_ai.operation.name", "execute_tool"),
			attribute.String("gen_ai.tool.name", clean(c.Name)))
	case agent.OpPrompt:
		out = append(out, attribute.String("mcp.method.name", "prompts/get"),
			attribute.String("gen_ai.prompt.name", clean(c.Name)))
	case agent.OpResource:
		out = append(out, attribute.String("mcp.method.name", "resources/read"))
	case agent.OpComplete:
		out = append(out, attribute.String("mcp.method.name", "completion/complete"))
	case agent.OpEvent:
		out = append(out, attribute.String("messaging.message.id", clean(c.ID)))
	}
	return out
}

// clean makes s fit for a span: short, and valid UTF-8, for one bad byte would cost the whole
// batch.
func clean(s string) string { return cut(s, maxText) }

// cut bounds s to n bytes of valid UTF-8.
func cut(s string, n int) string {
	if len(s) <= n && utf8.ValidString(s) {
		return s
	}
	s = strings.ToValidUTF8(s[:min(len(s), n)], "\uFFFD")
	for len(s) > n {
		_, last := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-last]
	}
	return s
}
