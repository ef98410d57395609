// Package client makes sessions to MCP servers: programs that it starts and speaks to on stdio, and
// servers that are reached by URL, over streamable HTTP or HTTP+SSE.
//
//   - [Connect] starts or dials the server that a [Target] describes, and returns a [Session] when
//     the handshake is over and the server's tools are known. [Options] bound it.
//   - A [Session] is a communicator.Peer: it takes any number of calls at once, and passes what the
//     server reports and asks while one runs to the caller of that call. It pings the server, and
//     ends when the server or its program does. It does not come back by itself.
//   - A [ConnectError] says why there is no session. The errors of calls are [agent.Error]s, which
//     say whether the call may have run.
//   - A [Dialer] is the client half of a communicator: it reaches agents that package server
//     offers, each at an endpoint of its own.
//
// A server is a foreign program unless its target is [Target.Trusted]: what it says about errors,
// and about the effects of its tools, is not taken for true.
package client
