// Package communicator is how calls travel from one agent to another.
//
// A [Communicator] is one way to travel, both ends of it: a [Server] offers agents under their
// names, a [Dialer] makes sessions to them. It carries everything about a call: deadline,
// cancellation, identity, place in the tree of calls, idempotency key, trace, progress, and
// questions to the caller. So an agent cannot tell over which communicator it is called, and the
// suite in package communicatortest proves that of each.
//
// [Local] is the one in this package: a call is a function call. Package pubsub has the one over a
// message broker, and package mcp those that speak MCP.
//
// The runtime uses communicators as the project file says. A program needs this package only to
// write another one.
package communicator
