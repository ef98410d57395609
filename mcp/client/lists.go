package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// The lists of a server, as bits.
const (
	listTools uint32 = 1 << iota
	listPrompts
	listResources
	listAll = listTools | listPrompts | listResources
)

const (
	maxPages  = 100
	maxListed = 10_000
	// refreshDelay is how long changes gather before the lists are read again: servers announce
	// each of a hundred new tools.
	refreshDelay = 50 * time.Millisecond
)

// finishHandshake finishes the handshake: it asks for log messages and reads the lists.
func (s *Session) finishHandshake(ctx context.Context) error {
	hello := s.sdk.InitializeResult()
	if hello.Capabilities == nil {
		hello.Capabilities = &sdk.ServerCapabilities{}
	}
	if hello.Capabilities.Logging != nil && !s.stateless() {
		if err := s.sdk.SetLoggingLevel(ctx, &sdk.SetLoggingLevelParams{Level: s.logLevel()}); err != nil {
			if ctx.Err() != nil {
				return err
			}
			s.log.DebugContext(ctx, "the server does not take a log level", "error", err)
		}
	}
	info := agent.Info{Name: s.target.Name, Description: hello.Instructions}
	if s.target.Trusted {
		codec.FromExperimental(hello.Capabilities, &info, s.target.Trusted)
	}
	if hello.ServerInfo != nil {
		info.Version = hello.ServerInfo.Version
	}
	info, err := s.list(ctx, info, listAll)
	if err != nil {
		return err
	}
	s.setInfo(&info)
	return nil
}

// logLevel is that of the messages that the server is to send.
func (s *Session) logLevel() sdk.LoggingLevel {
	if s.target.Trusted {
		return "debug" // ours logs what its agents say to their caller, who decides
	}
	return "info"
}

// listChanged notes that lists have to be read again.
func (s *Session) listChanged(lists uint32) {
	s.stale.Or(lists)
	select {
	case s.refresh <- struct{}{}:
	default: // it is about to happen
	}
}

// refreshLists reads changed lists again, until the session ends.
func (s *Session) refreshLists() {
	for {
		select {
		case <-s.refresh:
		case <-s.ctx.Done():
			return
		}
		timer := time.NewTimer(refreshDelay)
		select {
		case <-timer.C:
		case <-s.ctx.Done():
			timer.Stop()
			return
		}
		for uri := range s.updates.take() {
			s.opts.OnUpdated(uri)
		}
		if lists := s.stale.Swap(0); lists != 0 {
			s.refreshNow(lists)
		}
	}
}

func (s *Session) refreshNow(lists uint32) {
	ctx, cancel := context.WithTimeout(s.ctx, s.opts.HandshakeTimeout)
	defer cancel()
	old := s.Info()
	info, err := s.list(ctx, old, lists)
	if err != nil {
		if s.ctx.Err() == nil {
			s.log.Warn("the server's lists have changed but cannot be read; the old ones stay", "error",
				codec.WithoutURL(err))
		}
		return
	}
	if reflect.DeepEqual(old, info) {
		return
	}
	s.setInfo(&info)
	if s.opts.OnChanged != nil {
		s.opts.OnChanged(info)
	}
}

// list returns info with those lists as the server gives them now. It asks only for what the server
// has.
func (s *Session) list(ctx context.Context, info agent.Info, lists uint32) (agent.Info, error) {
	has := s.sdk.InitializeResult().Capabilities
	var err error
	if lists&listTools != 0 && has.Tools != nil {
		info.Tools, err = pages(s, "tools", toolName, func(cursor string) ([]agent.ToolInfo, string, error) {
			res, err := s.sdk.ListTools(ctx, &sdk.ListToolsParams{Cursor: cursor})
			if err != nil {
				return nil, "", err
			}
			return convert(res.Tools, codec.FromTool), res.NextCursor, nil
		})
		if err != nil {
			return info, err
		}
	}
	if lists&listPrompts != 0 && has.Prompts != nil {
		info.Prompts, err = pages(s, "prompts", promptName, func(cursor string) ([]agent.PromptInfo, string, error) {
			res, err := s.sdk.ListPrompts(ctx, &sdk.ListPromptsParams{Cursor: cursor})
			if err != nil {
				return nil, "", err
			}
			return convert(res.Prompts, codec.FromPrompt), res.NextCursor, nil
		})
		if err != nil {
			return info, err
		}
	}
	if lists&listResources != 0 && has.Resources != nil {
		info.Resources, err = s.listResources(ctx)
	}
	return info, err
}

func (s *Session) listResources(ctx context.Context) ([]agent.ResourceInfo, error) {
	fixed, err := pages(s, "resources", agent.ResourceInfo.Key,
		func(cursor string) ([]agent.ResourceInfo, string, error) {
			res, err := s.sdk.ListResources(ctx, &sdk.ListResourcesParams{Cursor: cursor})
			if err != nil {
				return nil, "", err
			}
			return convert(res.Resources, codec.FromResource), res.NextCursor, nil
		})
	if err != nil {
		return nil, err
	}
	templates, err := pages(s, "resources/templates", agent.ResourceInfo.Key,
		func(cursor string) ([]agent.ResourceInfo, string, error) {
			res, err := s.sdk.ListResourceTemplates(ctx, &sdk.ListResourceTemplatesParams{Cursor: cursor})
			if err != nil {
				return nil, "", err
			}
			return convert(res.ResourceTemplates, codec.FromTemplate), res.NextCursor, nil
		})
	return append(fixed, templates...), err
}

func toolName(t agent.ToolInfo) string     { return t.Name }
func promptName(p agent.PromptInfo) string { return p.Name }

// convert leaves out the nulls that some servers list.
func convert[In, Out any](in []*In, f func(*In) Out) []Out {
	var out []Out
	for _, v := range in {
		if v != nil {
			out = append(out, f(v))
		}
	}
	return out
}

// pages reads a list to its end, or to a bound that no sane server reaches. Of two things of one
// name it keeps the first; what is reserved to ourselves is left out. A server that has the
// capability but not the method has an empty list.
func pages[T any](s *Session, what string, name func(T) string, fetch func(cursor string) ([]T, string, error)) ([]T,
	error) {
	var all []T
	seen := map[string]bool{}
	cursor := ""
	for range maxPages {
		items, next, err := fetch(cursor)
		var rpc *jsonrpc.Error
		switch {
		case errors.As(err, &rpc) && rpc.Code == jsonrpc.CodeMethodNotFound:
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("%s/list: %w", what, err)
		}
		for _, item := range items {
			n := name(item)
			switch {
			case n == "" || strings.HasPrefix(n, reservedNames):
				continue
			case seen[n]:
				s.log.Warn("the server lists a name twice; the first one counts", "list", what, "name", n)
				continue
			case len(all) == maxListed:
				s.log.Warn("the server lists too much; the rest is left out", "list", what, "limit", maxListed)
				return all, nil
			}
			seen[n] = true
			all = append(all, item)
		}
		if next == "" || next == cursor {
			return all, nil
		}
		cursor = next
	}
	s.log.Warn("the server's list has too many pages; the rest is left out", "list", what, "pages", maxPages)
	return all, nil
}

// reservedNames begin the names of tools that are no tools: [codec.EventTool].
const reservedNames = "openmas."

// setInfo notes what the server offers.
func (s *Session) setInfo(info *agent.Info) {
	heads := map[string]bool{}
	for _, t := range info.Tools {
		if codec.WantsHeaders(t.InputSchema) {
			heads[t.Name] = true
		}
	}
	s.headerTools.Store(&heads)
	s.info.Store(info)
}

// Subscribe asks the server to tell of changes of a resource: see [Options.OnUpdated].
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
