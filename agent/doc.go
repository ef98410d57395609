// Package agent is what an agent is: a Go value that declares capabilities (tools, prompts,
// resources, events) and calls the tools of other agents by name.
//
// Everything on the path of a call is a [Caller]: a tool, a middleware, the directory, a
// communicator, a peer session. It is typed at the edge ([NewTool], [Ask]) and JSON inside ([Call],
// [Result]). How a call travels (in process, over a broker, over MCP) is decided by whoever runs
// the agent; the agent's code never changes.
//
// The package depends on the standard library and a JSON schema library only.
package agent
