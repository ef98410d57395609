// Package bridge lets an MCP client that knows stdio only use a server that is reached by URL. It
// passes messages on as they are; sessions, headers and authorization are its part.
//
// [New] reaches the server, and [Bridge.Run] passes messages until the client's input ends.
package bridge
