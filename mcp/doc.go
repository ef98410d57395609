// Package mcp has the words that the packages below share: the transports of the Model Context
// Protocol, their endpoints, and the lines with which a server program says that it is ready. How
// agents speak the protocol stands in the packages below:
//
//   - client makes sessions to MCP servers, child processes on stdio or a URL;
//   - server offers agents to any MCP client: over HTTP, as a gateway or each at an endpoint of its
//     own, and on stdio;
//   - bridge lets a client on stdio use a server that is reached by URL;
//   - mcptest starts a server process for a test.
//
// The protocol itself, its types and its versions are the official SDK's. What crosses between two
// openmas runtimes beyond it (who calls, how long there is left, error codes) travels in `_meta`,
// where other implementations ignore it.
package mcp
