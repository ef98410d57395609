package server

import (
	"context"
	"sync"
	"sync/atomic"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp/server/internal/catalog"
	"github.com/openmas/openmas/mcp/server/internal/held"
)

// endpoint is one MCP server: some agents under one naming, whatever transports its sessions use.
// The SDK's server holds the lists and speaks the protocol; what is called comes to serveCall.
type endpoint struct {
	o      Options
	agent  string // the only agent; empty: several, with gateway names
	open   bool   // agents that are not listed can be called as agent.tool
	caller agent.Caller
	gate   *calls.Gate // of calls
	posts  calls.Gate  // of HTTP requests that bring messages
	server *sdk.Server
	name   catalog.Naming
	watch  func(ctx context.Context, agent, uri string) error // a client subscribes; may be nil
	down   func(agent, name string) error                     // why a name is not known yet; may be nil

	// readable reports whether all of an agent is offered, and so what it does not list; nil: all
	// of the only agent, and of several none.
	readable func(agent string) bool
	spelled  catalog.Links // the URIs of subscriptions that are not spelled as they are listed
	linksOf  catalog.UserLinks

	self     *sdk.Implementation // what results of protocol 2026-07-28 are signed with
	selfJSON []byte

	held       *held.Calls  // of protocol 2026-07-28
	fastCalls  atomic.Int64 // calls that took the fast path
	lastClient atomic.Pointer[clientInfo]

	// alone are the sessions that the HTTP server does not know: of one request each, or of a
	// connection.
	alone sync.Map // of *session

	catalog atomic.Pointer[catalog.Catalog]
	mu      sync.Mutex // held while the catalog and the SDK's lists change
}

// An clientInfo is what clients say of themselves, as it stands in the message and as the SDK
// understands it. It does not change.
type clientInfo struct {
	info, capabilities string
	client             *sdk.Implementation // nil: it has not said
	can                *sdk.ClientCapabilities
}
