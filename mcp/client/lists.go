package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// Bounds that no sane server reaches.
const (
	maxPages   = 100
	maxListed  = 10_000
	maxLeftOut = 100
)

// read asks the server for a list.
func (s *Session) read(ctx context.Context, l list) reading {
	r := reading{list: l}
	switch l {
	case listTools:
		tools := pages(ctx, s, &r, "tools", s.readTool, func(t agent.ToolInfo) string { return t.Name },
			func(ctx context.Context, cursor string) error {
				_, err := s.sdk.ListTools(ctx, &sdk.ListToolsParams{Cursor: cursor})
				return err
			})
		r.put = func(o *offer) { o.tools = tools }
	case listPrompts:
		prompts := pages(ctx, s, &r, "prompts", codec.ReadPrompt, func(p agent.PromptInfo) string { return p.Name },
			func(ctx context.Context, cursor string) error {
				_, err := s.sdk.ListPrompts(ctx, &sdk.ListPromptsParams{Cursor: cursor})
				return err
			})
		r.put = func(o *offer) { o.prompts = prompts }
	case listResources:
		resources := pages(ctx, s, &r, "resources", codec.ReadResource, agent.ResourceInfo.Key,
			func(ctx context.Context, cursor string) error {
				_, err := s.sdk.ListResources(ctx, &sdk.ListResourcesParams{Cursor: cursor})
				return err
			})
		r.put = func(o *offer) { o.resources = resources }
	case listTemplates:
		templates := pages(ctx, s, &r, "resourceTemplates", codec.ReadTemplate, agent.ResourceInfo.Key,
			func(ctx context.Context, cursor string) error {
				_, err := s.sdk.ListResourceTemplates(ctx, &sdk.ListResourceTemplatesParams{Cursor: cursor})
				return err
			})
		r.put = func(o *offer) { o.templates = templates }
	}
	return r
}

// pages reads a list to its end, or to a bound. What cannot be used is left out: an item that does
// not decode, the second one of a name, the rest of a list of which a page fails. A server that has
// the capability but not the method has an empty list.
func pages[T any](ctx context.Context, s *Session, r *reading, member string, decode func(json.RawMessage) (T, error),
	nameOf func(T) string, send func(ctx context.Context, cursor string) error) (all []T) {
	if s.target.Trusted {
		decode = asOurs(decode)
	}
	seen := map[string]int{}
	var repeated []string
	defer func() {
		for _, name := range repeated {
			r.leaveOut(r.list.kind(), name, fmt.Sprintf("its name is listed %d times; the first one counts",
				seen[name]))
		}
		r.leaveOutMore()
	}()
	cursor, n := "", 0
	for page := range maxPages {
		items, next, err := s.page(ctx, r.list, member, func(ctx context.Context) error { return send(ctx, cursor) })
		var rpc *jsonrpc.Error
		switch {
		case err == nil:
		case page == 0 && errors.As(err, &rpc) && rpc.Code == jsonrpc.CodeMethodNotFound:
			return nil
		case page == 0:
			r.err = err
			return nil
		default:
			r.leaveOut("list", r.list.method(), fmt.Sprintf("page %d cannot be read: %v", page+1, err))
			return all
		}
		for _, raw := range items {
			n++
			item, err := decode(raw)
			name := nameOf(item)
			switch {
			case name == codec.EventTool:
				continue // not a tool
			case err == nil && seen[name] > 0:
				if seen[name]++; seen[name] == 2 {
					repeated = append(repeated, name)
				}
				continue
			case err == nil && len(all) == maxListed:
				r.leaveOut("list", r.list.method(), fmt.Sprintf("it has more than %d items, the limit", maxListed))
				return all
			}
			if err == nil {
				seen[name] = 1
				all = append(all, item)
				continue
			}
			if name == "" {
				name = fmt.Sprintf("#%d", n)
			}
			r.leaveOut(r.list.kind(), name, err.Error())
		}
		if next == "" || next == cursor {
			return all
		}
		cursor = next
	}
	r.leaveOut("list", r.list.method(), fmt.Sprintf("it has more than %d pages, the limit", maxPages))
	return all
}

// asOurs is decode for one of our own servers: it keeps no more of a definition than our types
// hold, if that is all.
func asOurs[T any](decode func(json.RawMessage) (T, error)) func(json.RawMessage) (T, error) {
	return func(raw json.RawMessage) (T, error) {
		item, err := decode(raw)
		var ours T
		if err != nil || json.Unmarshal(raw, &ours) != nil {
			return item, err
		}
		return ours, nil
	}
}

// readTool reads a definition, and refuses one whose arguments cannot go in headers where they
// must.
func (s *Session) readTool(raw json.RawMessage) (agent.ToolInfo, error) {
	t, err := codec.ReadTool(raw)
	if err == nil && s.stateless() && s.link.http != nil {
		err = codec.CheckHeaders(t.InputSchema)
	}
	return t, err
}

// leaveOut notes what is left out, up to a bound.
func (r *reading) leaveOut(kind, name, reason string) {
	if len(r.leftOut) < maxLeftOut {
		r.leftOut = append(r.leftOut, agent.LeftOut{Kind: kind, Name: name, Reason: reason})
	} else {
		r.more++
	}
}

// leaveOutMore notes how many there were beyond the bound.
func (r *reading) leaveOutMore() {
	if r.more > 0 {
		r.leftOut = append(r.leftOut, agent.LeftOut{Kind: "list", Name: r.list.method(),
			Reason: fmt.Sprintf("%d more of its items are left out", r.more)})
	}
}

// page asks for one page of a list. Its items are as the server wrote them.
func (s *Session) page(ctx context.Context, l list, member string,
	send func(context.Context) error) (items []json.RawMessage, next string, err error) {
	var stand wire.StandIn
	if l == listTools && s.stateless() && s.link.http != nil {
		stand = codec.HeaderTools
	}
	raw, err := s.askFor(ctx, stand, send)
	if raw == nil {
		return nil, "", err
	}
	// Where something in the answer is no JSON, or nests too deep, the other items are there.
	items, next, odd := codec.ReadPage(raw, member)
	switch {
	case odd == nil:
		err = nil
	case err == nil:
		err = &wire.AnswerError{Cause: odd}
	}
	return items, next, err
}

// askFor sends a request that is no call by the SDK, and returns the result as it came. Of an
// answer that cannot be read it returns what there is of its result, and the error.
func (s *Session) askFor(ctx context.Context, stand wire.StandIn,
	send func(context.Context) error) (json.RawMessage, error) {
	ctx, note := withNote(ctx)
	note.KeepAnswer(stand)
	err := send(ctx)
	if answer := note.Answer(); answer != nil {
		r := codec.ReadResponse(answer)
		if bad := (*wire.AnswerError)(nil); errors.As(r.Err, &bad) {
			r.Result = answer.Result
		}
		return r.Result, r.Err
	}
	if why := note.failed.Load(); why != nil && err != nil {
		err = *why
	}
	if status := note.HTTPError(); status != nil && err != nil && !errors.Is(err, sdk.ErrSessionMissing) {
		err = status
	}
	if err == nil {
		err = errors.New("the answer was lost") // cannot happen
	}
	return nil, err
}
