package client

import (
	"context"
	"encoding/json"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// Subscribe asks the server to tell of changes of a resource: see ConnectOptions.OnUpdated.
// unimplemented: it does not do that.
func (s *Session) Subscribe(ctx context.Context, uri string) error {
	if caps := s.sdk.InitializeResult().Capabilities; caps == nil || caps.Resources == nil ||
		!caps.Resources.Subscribe {
		return agent.Refusedf(agent.CodeUnimplemented, "%s tells nobody of changed resources", &s.target)
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.HandshakeTimeout)
	defer cancel()
	if err := s.sdk.Subscribe(ctx, &sdk.SubscribeParams{URI: uri}); err != nil {
		if e, ok := codec.FromRPCError(err, s.target.Trusted); ok {
			return e
		}
		return agent.Errorf(agent.CodeUnavailable, "subscribe to %s of %s: %w", uri, &s.target, codec.WithoutURL(err))
	}
	return nil
}

// onUpdated notes that a resource has changed; keepLists tells.
func (s *Session) onUpdated(params json.RawMessage) {
	var p agent.ResourceUpdate
	if s.opts.OnUpdated == nil || json.Unmarshal(params, &p) != nil {
		return
	}
	s.noteUpdate(p.URI)
}

func (s *Session) noteUpdate(uri string) {
	s.updates.mu.Lock()
	if s.updates.uris == nil {
		s.updates.uris = map[string]bool{}
	}
	if len(s.updates.uris) < maxUpdates {
		s.updates.uris[uri] = true
	}
	s.updates.mu.Unlock()
	s.listChanged(0)
}
