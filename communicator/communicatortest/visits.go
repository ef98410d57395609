package communicatortest

import (
	"context"
	"slices"
	"sync"

	"github.com/openmas/openmas/agent"
)

// visitTool sends the caller's user to a page, and reports that this is done.
func visitTool() agent.Tool {
	return agent.NewTool("visit", "", func(ctx context.Context, _ struct{}) (string, error) {
		id, err := agent.ElicitURL(ctx, "Pay ß.", "https://a.example/pay?n=1&m=2")
		if err == nil {
			agent.ElicitComplete(ctx, id)
		}
		return id, err
	})
}

// visitor is a user who does something when asked to visit a page.
type visitor struct {
	action string
	mu     sync.Mutex
	asked  []agent.ElicitURLRequest
	done   []string
}

func (v *visitor) back() agent.BackChannelFuncs {
	return agent.BackChannelFuncs{
		ElicitURL: func(_ context.Context, r agent.ElicitURLRequest) (agent.ElicitResult, error) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.asked = append(v.asked, r)
			return agent.ElicitResult{Action: v.action}, nil
		},
		OnElicitComplete: func(id string) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.done = append(v.done, id)
		},
	}
}

func visits(b *bench) {
	b.tools(visitTool())
	b.visits("callee.visit")
}

func nestedVisits(b *bench) {
	b.serve("end", agent.Capabilities{Tools: []agent.Tool{visitTool()}})
	b.tools(agent.NewTool("relay", "", func(ctx context.Context, _ struct{}) (string, error) {
		return agent.Ask[string](ctx, "end.visit", nil)
	}))
	b.visits("callee.relay")
}

// visits calls a tool that sends its user to the page of visitTool.
func (b *bench) visits(tool string) {
	for action, code := range map[string]agent.Code{agent.ElicitAccept: "",
		agent.ElicitDecline: agent.CodePermissionDenied, agent.ElicitCancel: agent.CodeCanceled} {
		v := &visitor{action: action}
		id, err := agent.Ask[string](b.with(v.back()), tool, nil)
		if agent.CodeOf(err) != code || code == "" && id == "" {
			b.Errorf("%s: %q, %v", action, id, err)
			continue
		}
		v.mu.Lock()
		asked := slices.Clone(v.asked)
		v.mu.Unlock()
		want := agent.ElicitURLRequest{Message: "Pay ß.", URL: "https://a.example/pay?n=1&m=2"}
		if len(asked) == 1 {
			want.ID = asked[0].ID
		}
		if !slices.Equal(asked, []agent.ElicitURLRequest{want}) || want.ID == "" || code == "" && want.ID != id {
			b.Errorf("%s: asked %+v, and the id is %q", action, asked, id)
		}
		if code == "" {
			b.eventually("the end of the visit is told", func() bool {
				v.mu.Lock()
				defer v.mu.Unlock()
				return slices.Equal(v.done, []string{id})
			})
		}
	}
}

// Whoever fills in forms is not sent to a page.
func formsOnly(b *bench) {
	b.tools(visitTool())
	h := agent.BackChannelFuncs{Elicit: func(context.Context, agent.ElicitRequest) (agent.ElicitResult, error) {
		return agent.ElicitResult{Action: agent.ElicitAccept}, nil
	}}
	for name, ctx := range map[string]context.Context{"forms": b.with(h), "nobody": b.ctx()} {
		if _, err := agent.CallTool(ctx, "callee.visit", nil); agent.CodeOf(err) != agent.CodeUnavailable {
			b.Errorf("%s: %v", name, err)
		}
	}
}
