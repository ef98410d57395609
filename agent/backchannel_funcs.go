package agent

import (
	"context"
	"encoding/json"
)

// BackChannelFuncs is a [BackChannel] made of functions, for programs that call tools. What is nil
// is not offered: notices of it are dropped, requests are unavailable. The functions are called
// concurrently.
type BackChannelFuncs struct {
	OnProgress func(ProgressNotice)
	OnLog      func(LogNotice)
	OnContent  func([]Content)
	Sample     func(context.Context, SampleRequest) (SampleResult, error)
	// Elicit may leave out fields that have a default in the schema: they are added.
	Elicit func(context.Context, ElicitRequest) (ElicitResult, error)
	// ElicitURL accepts only what its user has seen and agreed to, the whole address: it is a
	// stranger's.
	ElicitURL func(context.Context, ElicitURLRequest) (ElicitResult, error)
	// OnElicitComplete gets the id of an ElicitURLRequest: what the user was sent to its page for
	// is done. It may be one that the user did not agree to.
	OnElicitComplete func(id string)
	Roots            func(context.Context) ([]Root, error)
}

// Notify implements [BackChannel].
func (h BackChannelFuncs) Notify(_ context.Context, n Notice) {
	if n.Progress != nil && h.OnProgress != nil {
		h.OnProgress(*n.Progress)
	}
	if n.Log != nil && h.OnLog != nil {
		h.OnLog(*n.Log)
	}
	if len(n.Content) > 0 && h.OnContent != nil {
		h.OnContent(n.Content)
	}
	if n.ElicitComplete != "" && h.OnElicitComplete != nil {
		h.OnElicitComplete(n.ElicitComplete)
	}
}

// Request implements [BackChannel].
func (h BackChannelFuncs) Request(ctx context.Context, r Request) (json.RawMessage, error) {
	switch {
	case r.Kind == AskSample && h.Sample != nil:
		return answer(ctx, r, h.Sample)
	case r.Kind == AskElicit:
		return h.elicits(ctx, r)
	case r.Kind == AskRoots && h.Roots != nil:
		roots, err := h.Roots(ctx)
		if err != nil {
			return nil, AsError(err)
		}
		return json.Marshal(rootList{append([]Root{}, roots...)})
	}
	return nil, Errorf(CodeUnavailable, "the caller does not answer %q requests", r.Kind)
}

// elicits answers in the way that is asked for.
func (h BackChannelFuncs) elicits(ctx context.Context, r Request) (json.RawMessage, error) {
	switch mode := elicitMode(r.Params); {
	case mode == elicitForm && h.Elicit != nil:
		return answer(ctx, r, h.elicit)
	case mode == elicitURL && h.ElicitURL != nil:
		return answer(ctx, r, h.ElicitURL)
	case mode != elicitForm && (h.Elicit != nil || h.ElicitURL != nil):
		return nil, Errorf(CodeUnavailable, "the caller does not answer %q requests of mode %q", r.Kind, mode)
	}
	return nil, Errorf(CodeUnavailable, "the caller does not answer %q requests", r.Kind)
}

// elicitMode is how an elicitation asks. It may leave that to be concluded.
func elicitMode(params json.RawMessage) string {
	var p struct {
		Mode string `json:"mode"`
		URL  string `json:"url"`
	}
	switch {
	case json.Unmarshal(objectOr(params), &p) != nil:
		return elicitForm // which does not decode either, and says why
	case p.Mode != "":
		return p.Mode
	case p.URL != "":
		return elicitURL
	}
	return elicitForm
}

// elicit adds what the user left out and has a default: a form would have shown it.
func (h BackChannelFuncs) elicit(ctx context.Context, r ElicitRequest) (ElicitResult, error) {
	res, err := h.Elicit(ctx, r)
	if err == nil && res.Action == ElicitAccept {
		res.Content = withDefaults(r.RequestedSchema, res.Content)
	}
	return res, err
}

func withDefaults(schema, content json.RawMessage) json.RawMessage {
	var form struct {
		Properties json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(objectOr(schema), &form) != nil {
		return content
	}
	fields, err := parseObject(objectOr(form.Properties))
	given, bad := parseObject(objectOr(content))
	if err != nil || bad != nil {
		return content
	}
	all := given
	for _, f := range fields {
		var field struct {
			Default json.RawMessage `json:"default"`
		}
		if json.Unmarshal(f.value, &field) == nil && field.Default != nil && given.find(f.key) == nil {
			all = append(all, property{f.key, field.Default})
		}
	}
	if len(all) == len(given) {
		return content
	}
	if now, err := all.encode(); err == nil {
		return now
	}
	return content
}

func answer[In, Out any](ctx context.Context, r Request, fn func(context.Context, In) (Out, error)) (json.RawMessage,
	error) {
	var in In
	if err := json.Unmarshal(objectOr(r.Params), &in); err != nil {
		return nil, Errorf(CodeInvalidArgument, "decode a %s request: %w", r.Kind, err)
	}
	out, err := fn(ctx, in)
	if err != nil {
		return nil, AsError(err)
	}
	return marshal(out)
}
