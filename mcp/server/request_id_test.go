package server

import (
	"context"
	"fmt"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// What carried a call is known on the fast path and beside it, with the id as its client wrote it,
// and not as a header of the client's has it.
func TestTheIDOfARequest(t *testing.T) {
	for _, off := range []bool{false, true} {
		t.Run(fmt.Sprintf("off=%v", off), func(t *testing.T) {
			dir, prompts := &fixture.Crew{}, make(chan *calls.Request, 1)
			dir.Add(t, "a", agent.Capabilities{
				Tools: []agent.Tool{agent.NewTool("id", "", func(ctx context.Context, _ struct{}) (string, error) {
					return "<" + calls.ArrivedBy(ctx).ID + ">", nil
				})},
				Prompts: []agent.Prompt{agent.NewPrompt("id", "",
					func(ctx context.Context, _ struct{}) (*agent.PromptResult,
						error) {
						prompts <- calls.ArrivedBy(ctx)
						return &agent.PromptResult{}, nil
					})}})
			s := newSite(t, dir, GatewayOptions{Options: Options{NoFastPath: off,
				Describe: func(map[string]string) bool { return true }}})
			for _, w := range everyClient() {
				cs := s.join(t, w, nil)
				if got := fixture.TextOf(fixture.CallTool(t, cs, "a_id", nil)); len(got) < 3 || strings.Trim(got,
					"<0123456789>") != "" {
					t.Errorf("%v: the id of a call is %s", w, got)
				}
				if _, err := cs.GetPrompt(t.Context(), &sdk.GetPromptParams{Name: "a_id"}); err != nil {
					t.Fatal(err)
				}
				network := "tcp"
				if w.transport == mcp.Stdio {
					network = "pipe"
				}
				if got := <-prompts; got.ID == "" || strings.Trim(got.ID, "0123456789") != "" ||
					got.Network != network {
					t.Errorf("%v: a request for a prompt came as %+v", w, got)
				}
			}
			c := s.dial(t, "", codec.Version20251125)
			c.header[wire.IDHeader] = "made up"
			for id, want := range map[string]string{`7`: "7", `"x-1"`: "x-1", `9007199254740993`: "9007199254740993"} {
				_, _, body := send(t, "POST", c.url, c.header,
					`{"jsonrpc":"2.0","id":`+id+`,"method":"tools/call","params":{"name":"a_id"}}`)
				if !strings.Contains(body, "<"+want+">") && !strings.Contains(body, `\u003c`+want+`\u003e`) {
					t.Errorf("the id %s: %s", id, body)
				}
			}
		})
	}
}

const traceOfRefusals = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// A request that becomes no call is reported, in every era of the protocol, and its error names the
// trace of that.
func TestRefusedRequestsAreReported(t *testing.T) {
	for _, version := range []string{codec.Version20251125, codec.Version20260728} {
		for _, off := range []bool{false, true} {
			var got []string
			dir := &fixture.Crew{}
			dir.Add(t, "a", agent.Capabilities{})
			s := newSite(t, dir, GatewayOptions{Options: Options{NoFastPath: off,
				OnRefused: func(_ context.Context, c *agent.Call, why *agent.Error, _ func() []string) string {
					got = append(got, fmt.Sprint(c.Name, " ", why.Code))
					return traceOfRefusals
				}}})
			answer := s.dial(t, "", version).ask(t, "tools/call", `{"name":"a_gone"}`)
			if len(got) != 1 || got[0] != "a_gone not_found" || !strings.Contains(answer, traceOfRefusals) {
				t.Errorf("%s, off %v: %q, and the client got %s", version, off, got, answer)
			}
		}
	}
}
