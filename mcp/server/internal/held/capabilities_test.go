package held

import (
	"encoding/json"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
)

func TestWhatAClientLacksToAnswer(t *testing.T) {
	tools := json.RawMessage(`{"messages":[],"tools":[{"name":"n","inputSchema":{"type":"object"}}]}`)
	plain := &sdk.ClientCapabilities{Sampling: &sdk.SamplingCapabilities{}}
	all := &sdk.ClientCapabilities{Sampling: &sdk.SamplingCapabilities{Tools: &sdk.SamplingToolsCapabilities{}},
		Elicitation: &sdk.ElicitationCapabilities{}, RootsV2: &sdk.RootCapabilities{}}
	urls := &sdk.ClientCapabilities{Elicitation: &sdk.ElicitationCapabilities{URL: &sdk.URLElicitationCapabilities{}}}
	for _, c := range []struct {
		caps *sdk.ClientCapabilities
		ask  agent.Request
		want string
	}{
		{nil, agent.Request{Kind: agent.AskSample}, "sampling"},
		{plain, agent.Request{Kind: agent.AskSample, Params: json.RawMessage(`{"messages":[]}`)}, ""},
		{plain, agent.Request{Kind: agent.AskSample, Params: tools}, "sampling.tools"},
		{plain, agent.Request{Kind: agent.AskElicit}, "elicitation"},
		{plain, agent.Request{Kind: agent.AskRoots}, "roots"},
		{all, agent.Request{Kind: agent.AskSample, Params: tools}, ""},
		{all, agent.Request{Kind: agent.AskElicit}, ""},
		{all, agent.Request{Kind: agent.AskElicit, Params: json.RawMessage(`{"mode":"form"}`)}, ""},
		{all, agent.Request{Kind: agent.AskElicit, Params: json.RawMessage(`{"mode":"voice"}`)}, ""},
		{all, agent.Request{Kind: agent.AskElicit, Params: json.RawMessage(`{"mode":"url"}`)}, "elicitation.url"},
		{all, agent.Request{Kind: agent.AskElicit, Params: json.RawMessage(`{"url":"x:y"}`)}, "elicitation.url"},
		{urls, agent.Request{Kind: agent.AskElicit, Params: json.RawMessage(`{"url":"x:y"}`)}, ""},
		{urls, agent.Request{Kind: agent.AskElicit, Params: json.RawMessage(`{"message":"m"}`)}, "elicitation.form"},
		{all, agent.Request{Kind: agent.AskRoots}, ""},
		{all, agent.Request{Kind: "riddle"}, "riddle"},
	} {
		if got := Lacks(c.caps, c.ask); got != c.want {
			t.Errorf("%+v, %s %s: %q, want %q", c.caps, c.ask.Kind, c.ask.Params, got, c.want)
		}
	}
	e := &CapabilityError{samplingTools, agent.AsError(CannotAnswer(agent.AskSample, samplingTools))}
	if rpc := e.RPC(); !strings.Contains(string(rpc.Data), `"requiredCapabilities":{"sampling":{"tools":{}}}`) ||
		!strings.Contains(rpc.Message, "with tools") {
		t.Errorf("%+v %s", rpc, rpc.Data)
	}
}
