package mcp

import "strings"

// The endpoints of a server over HTTP: where openmas serves its transports, below the path of an
// agent or of all, and where it looks for those of a URL without a path.
const (
	SSEEndpoint        = "/sse"      // the stream of HTTP+SSE
	MessagesEndpoint   = "/messages" // the POSTs of HTTP+SSE; a stream announces it with a slash at the end
	StreamableEndpoint = "/mcp"      // all of streamable HTTP
)

// Endpoint is where sessions over t begin; empty for Stdio.
func (t Transport) Endpoint() string {
	switch t {
	case SSE:
		return SSEEndpoint
	case Streamable:
		return StreamableEndpoint
	}
	return ""
}

// TransportOf is the transport that the path of a URL suggests: SSE if it ends like an endpoint of
// SSE, else Streamable.
func TransportOf(path string) Transport {
	if strings.HasSuffix(strings.TrimSuffix(path, "/"), SSEEndpoint) {
		return SSE
	}
	return Streamable
}
