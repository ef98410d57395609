package server

import (
	"context"
	"strings"
	"sync"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// A client that says that its user can be sent to pages is asked to, in every version, and is told
// of the end of a visit where the version has words for that. Others are not asked.
func TestVisitsOfTheGatewaysClients(t *testing.T) {
	dir := &fixture.Crew{}
	dir.Add(t, "bank", agent.Capabilities{Tools: []agent.Tool{agent.NewTool("pay", "", func(ctx context.Context,
		_ struct{}) (string, error) {
		id, err := agent.ElicitURL(ctx, "Pay.", "https://a.example")
		if err == nil {
			agent.ElicitComplete(ctx, id)
		}
		return "paid", err
	})}})
	s := newSite(t, dir, GatewayOptions{})
	for _, w := range []way{{mcp.Stdio, codec.Version20260728, "", ""}, {mcp.Streamable, codec.Version20260728, "", ""},
		{mcp.Stdio, codec.Version20251125, "", ""}, {mcp.SSE, codec.Version20251125, "", ""},
		{mcp.Streamable, codec.Version20251125, "", ""}} {
		t.Run(w.String(), func(t *testing.T) {
			var mu sync.Mutex
			var asked *sdk.ElicitParams
			done := make(chan string, 10)
			caps := &sdk.ClientCapabilities{Elicitation: &sdk.ElicitationCapabilities{
				URL: &sdk.URLElicitationCapabilities{}}}
			options := &sdk.ClientOptions{
				Capabilities: caps,
				ElicitationHandler: func(_ context.Context, r *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
					mu.Lock()
					defer mu.Unlock()
					asked = r.Params
					return &sdk.ElicitResult{Action: agent.ElicitAccept}, nil
				},
				ElicitationCompleteHandler: func(_ context.Context, r *sdk.ElicitationCompleteNotificationRequest) {
					done <- r.Params.ElicitationID
				},
			}
			cs := s.join(t, w, options)
			if got := fixture.TextOf(fixture.CallTool(t, cs, "bank_pay", nil)); got != "paid" {
				t.Error(got)
			}
			mu.Lock()
			p := asked
			mu.Unlock()
			if p == nil || p.Mode != codec.ElicitURL || p.URL != "https://a.example" || p.ElicitationID == "" {
				t.Fatalf("asked %+v", p)
			}
			if w.version != codec.Version20260728 {
				if id := fixture.Receive(t, "the end of the visit", done); id != p.ElicitationID {
					t.Errorf("%q is done, and %q was asked", id, p.ElicitationID)
				}
			}
			options.Capabilities = nil // it is asked to fill in forms
			asked = nil
			res, err := s.join(t, w, options).CallTool(t.Context(), &sdk.CallToolParams{Name: "bank_pay"})
			told := fixture.MustJSON(t, res)
			if err != nil {
				told = err.Error()
			}
			if !strings.Contains(told, `mode`) || !strings.Contains(told, "url") || asked != nil || len(done) > 0 {
				t.Errorf("%s; asked %+v", told, asked)
			}
		})
	}
}
