package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

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

// read asks the server for a list. came gets what there is of it after each page that others
// follow.
func (s *Session) read(ctx context.Context, l list, came func(reading)) reading {
	switch l {
	case listTools:
		return pages(ctx, s, l, "tools", s.readTool, func(t agent.ToolInfo) string { return t.Name },
			func(o *offer) *[]agent.ToolInfo { return &o.tools }, came,
			func(ctx context.Context, cursor string) error {
				_, err := s.sdk.ListTools(ctx, &sdk.ListToolsParams{Cursor: cursor})
				return err
			})
	case listPrompts:
		return pages(ctx, s, l, "prompts", codec.ReadPrompt, func(p agent.PromptInfo) string { return p.Name },
			func(o *offer) *[]agent.PromptInfo { return &o.prompts }, came,
			func(ctx context.Context, cursor string) error {
				_, err := s.sdk.ListPrompts(ctx, &sdk.ListPromptsParams{Cursor: cursor})
				return err
			})
	case listResources:
		return pages(ctx, s, l, "resources", codec.ReadResource, agent.ResourceInfo.Key,
			func(o *offer) *[]agent.ResourceInfo { return &o.resources }, came,
			func(ctx context.Context, cursor string) error {
				_, err := s.sdk.ListResources(ctx, &sdk.ListResourcesParams{Cursor: cursor})
				return err
			})
	}
	return pages(ctx, s, l, "resourceTemplates", codec.ReadTemplate, agent.ResourceInfo.Key,
		func(o *offer) *[]agent.ResourceInfo { return &o.templates }, came,
		func(ctx context.Context, cursor string) error {
			_, err := s.sdk.ListResourceTemplates(ctx, &sdk.ListResourceTemplatesParams{Cursor: cursor})
			return err
		})
}

// pages reads a list to its end, or to a bound. What cannot be used is left out: an item that does
// not decode, the second one of a name. Where a page fails, what was known of the rest stays. A
// server that has the capability but not the method has an empty list.
func pages[T any](ctx context.Context, s *Session, l list, member string,
	decode func(json.RawMessage, func(string)) (T, error),
	nameOf func(T) string, place func(*offer) *[]T, came func(reading),
	send func(ctx context.Context, cursor string) error) (r reading) {
	if s.target.Trusted {
		decode = asOurs(decode)
	}
	var all []T
	seen := map[string]int{}
	var repeated []string
	r = reading{list: l, put: func(o *offer) { *place(o) = all }}
	defer func() {
		for _, name := range repeated {
			r.leaveOut(l.kind(), name, fmt.Sprintf("its name is listed %d times; the first one counts",
				seen[name]))
		}
		r.leaveOutMore()
	}()
	cursor, n := "", 0
	for page := range maxPages {
		items, next, err := s.page(ctx, l, member, func(ctx context.Context) error { return send(ctx, cursor) })
		var rpc *jsonrpc.Error
		switch {
		case err == nil:
		case errors.As(err, new(*codec.CursorError)):
			r.leaveOut("list", l.method(), fmt.Sprintf("what follows page %d cannot be asked for: %v", page+1, err))
		case page == 0 && errors.As(err, &rpc) && rpc.Code == jsonrpc.CodeMethodNotFound:
			return r
		case page == 0:
			r.err = err
			return r
		default:
			r.cut = true
			r.put = func(o *offer) {
				for _, item := range *place(o) {
					if seen[nameOf(item)] == 0 {
						all = append(all, item)
					}
				}
				*place(o) = all
			}
			r.leaveOut("list", l.method(), fmt.Sprintf("page %d cannot be read: %v", page+1, codec.WithoutURL(err)))
			return r
		}
		for _, raw := range items {
			n++
			var odd []string
			item, err := decode(raw, func(what string) { odd = append(odd, what) })
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
				r.leaveOut("list", l.method(), fmt.Sprintf("it has more than %d items, the limit", maxListed))
				return r
			}
			if err == nil {
				seen[name] = 1
				all = append(all, item)
				for _, what := range odd {
					r.leaveOut("member of "+l.kind(), name, what)
				}
				continue
			}
			if name == "" {
				name = fmt.Sprintf("#%d", n)
			}
			r.leaveOut(l.kind(), name, err.Error())
		}
		if next == "" || next == cursor {
			return r
		}
		cursor = next
		sofar := slices.Clip(all)
		came(reading{list: l, pages: page + 1, put: func(o *offer) { *place(o) = sofar }})
	}
	r.leaveOut("list", l.method(), fmt.Sprintf("it has more than %d pages, the limit", maxPages))
	return r
}

// asOurs is decode for one of our own servers: it keeps no more of a definition than our types
// hold, if that is all.
func asOurs[T any](decode func(json.RawMessage, func(string)) (T, error),
) func(json.RawMessage, func(string)) (T, error) {
	return func(raw json.RawMessage, odd func(string)) (T, error) {
		item, err := decode(raw, odd)
		var ours T
		if err != nil || json.Unmarshal(raw, &ours) != nil {
			return item, err
		}
		return ours, nil
	}
}

// readTool reads a definition, and refuses one whose arguments cannot go in headers where they
// must.
func (s *Session) readTool(raw json.RawMessage, odd func(string)) (agent.ToolInfo, error) {
	t, err := codec.ReadTool(raw, odd)
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

// page asks for one page of a list, and waits for it as long as for the handshake. Its items are as
// the server wrote them.
func (s *Session) page(ctx context.Context, l list, member string,
	send func(context.Context) error) (items []json.RawMessage, next string, err error) {
	var stand wire.StandIn
	if l == listTools && s.stateless() && s.link.http != nil {
		stand = codec.HeaderTools
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.opts.HandshakeTimeout, errHandshake)
	defer cancel()
	raw, err := s.askFor(ctx, stand, send)
	if raw == nil {
		if err != nil && errors.Is(context.Cause(ctx), errHandshake) {
			err = fmt.Errorf("no answer within %v%s", s.opts.HandshakeTimeout, inBrackets(s.opts.TimeoutKey))
		}
		return nil, "", err
	}
	// Where something in the answer is no JSON, or nests too deep, the other items are there.
	items, next, odd := codec.ReadPage(raw, member)
	switch {
	case odd == nil:
		err = nil
	case errors.As(odd, new(*codec.CursorError)):
		err = odd
	case err == nil:
		err = &wire.AnswerError{Cause: odd}
	}
	return items, next, err
}

// tryKey marks the context of a request that the server does not say it knows.
type tryKey struct{}

// askFor sends a request that is no call by the SDK, and returns the result as it came. Of an
// answer that cannot be read it returns what there is of its result, and the error.
func (s *Session) askFor(ctx context.Context, stand wire.StandIn,
	send func(context.Context) error) (json.RawMessage, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	try := ctx.Value(tryKey{}) != nil
	ctx, note := withNote(ctx)
	note.try = try
	defer s.calls.remove(s.calls.add(ctx, cancel, note, nil))
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
	if status := note.told(note.HTTPError()); status != nil && err != nil {
		if errors.Is(err, sdk.ErrSessionMissing) {
			err = fmt.Errorf("%w (%w)", status, sdk.ErrSessionMissing)
		} else {
			err = status
		}
	}
	if err == nil {
		err = errors.New("the answer was lost") // cannot happen
	}
	return nil, err
}
