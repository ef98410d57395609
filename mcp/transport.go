package mcp

// A Transport is how a session to an MCP server travels.
type Transport string

// The transports.
const (
	Stdio      Transport = "stdio" // a child process, a line for each message
	SSE        Transport = "sse"   // HTTP+SSE, as of protocol 2024-11-05
	Streamable Transport = "http"  // streamable HTTP, since protocol 2025-03-26
)
