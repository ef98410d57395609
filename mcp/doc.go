// Package mcp is the communicator that speaks the Model Context Protocol.
//
// Hosting: [NewGateway] offers the agents of a directory to any MCP client over HTTP (HTTP+SSE and
// streamable HTTP), [ServeStdio] offers one agent on a pair of streams, and [NewHTTP] is a
// [communicator.Communicator] whose agents are reached through endpoints of their own. Peers:
// [Connect] makes a session to any MCP server, as a child process on stdio or by URL.
//
// The protocol itself, its types and its eras are the official SDK's. What crosses between two
// openmas runtimes beyond it (who calls, how long there is left, error codes) travels in `_meta`,
// where other implementations ignore it.
package mcp
