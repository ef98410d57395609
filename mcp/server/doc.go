// Package server offers agents to MCP clients, in each version of the protocol and over each of its
// transports.
//
//   - A [Gateway] offers all agents of a directory at one address: together under /sse and /mcp,
//     and each alone under /agents/NAME. It also answers health checks.
//   - [HTTP] offers agents one by one, each at an endpoint of its own. With a client.Dialer it is a
//     communicator.
//   - [ServeStdio] offers one agent on a pair of streams, and [Gateway.ServeStdio] all of them.
//
// Neither handler brings a listener: the program mounts them in an HTTP server of its own. An
// [Identity] says who talks to the server, and [Limits] bound what clients can cost it.
// [Gateway.Drain] and [HTTP.Close] let calls in flight end before sessions do.
//
// Requests for other hosts, and from web pages of other origins, are refused: see [Options].
package server
