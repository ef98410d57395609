package held

import (
	"context"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/requeststate"
)

// Options say what a call is that may ask.
type Options struct {
	Call *agent.Call
	// Run makes the call, with a back-channel of its own. The result is what the client gets.
	Run func(ctx context.Context, c *agent.Call) (*agent.Result, error)
	// Timeout is what the client set; 0: nothing.
	Timeout time.Duration
	// State is that with which the call begins.
	State requeststate.State
	// Caps are what the client answers.
	Caps *sdk.ClientCapabilities
	// Session, if not nil, ends the call with the client's session: one that outlives its requests.
	Session context.Context
	// Repeatable reports whether the call may run again from its start.
	Repeatable func() bool
}
