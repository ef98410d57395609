package client

import (
	"context"
	"encoding/json"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// request is a call on its way.
type request struct {
	*agent.Call
	token string // for progress; empty: nobody listens
	trace *wire.Trace
	note  *note
	// With protocol 2026-07-28: the answers to what an earlier result wanted, and its state.
	responses sdk.InputResponseMap
	state     string
}

// metaOf is what a request says about its call.
func (s *Session) metaOf(ctx context.Context, out request) sdk.Meta {
	m := codec.RequestMeta(ctx, out.Call, s.target.Trusted)
	if out.token != "" {
		m["progressToken"] = out.token
	}
	if s.stateless() {
		m[sdk.MetaKeyLogLevel] = string(s.logLevel())
	}
	return m
}

func objectOrEmpty(in json.RawMessage) json.RawMessage {
	if len(in) == 0 || string(in) == "null" {
		return json.RawMessage("{}")
	}
	return in
}
