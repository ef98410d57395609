// Package interop tests openmas against real MCP programs in other languages: servers and clients
// of the Python and TypeScript SDKs, the MCP Inspector, and the conformance suite, in both
// directions, over each transport that they have.
//
// `make interop` installs them (see package toolbox) and runs the tests, which plain `go test`
// skips. The programs in testdata are what a user of those SDKs would write; they know nothing of
// openmas.
package interop
