package runtime_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/recorded"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

const (
	visit = `{"code":-32042,"message":"visit a page first","data":{"elicitations":[{"mode":"url","elicitationId":"e1",` +
		`"url":"https://example.org/?a=1&b=<2>","n":9007199254740993,"x":1.0}]}}`
	// 0 is no code of JSON-RPC, nor has an error more members; some servers write so
	odd = `{"message":"caf\u00e9 closed","code":0,"hint":{"b":1.0,"a":[9007199254740993]},` +
		`"data":[1.0,"` + sesame + `"]}`
)

// refusing is a server that answers with errors of JSON-RPC, which have codes and data.
var refusing = recorded.Server{
	Recordings: []recorded.Recording{
		recorded.New("refusing", "tools/list", `{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}`),
		recorded.New("refusing", "prompts/list", `{"prompts":[{"name":"p"}]}`),
		recorded.New("refusing", "resources/list", `{"resources":[{"uri":"made://one","name":"one"}]}`)},
	Errors: map[string]string{"tools/call": visit, "prompts/get": odd, "completion/complete": odd,
		"resources/read": `{"code":-32002,"message":"gone","data":{"uri":"made://one","n":1.0},"why":"x"}`},
}

// The JSON-RPC error of a foreign server reaches clients of the gateway as it came, without the
// project's secrets, and our own agents with its code and its data.
func TestErrorsOfForeignServersReachClientsAsTheyCame(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(&refusing)
	t.Cleanup(web.Close)
	for over, ac := range map[string]project.Agent{"http": {URL: web.URL + "/mcp"},
		"stdio": {Command: []string{exe}, Env: map[string]string{foreignVar: "recorded refusing"}}} {
		for _, fast := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, fast path %v", over, fast), func(t *testing.T) {
				t.Parallel()
				s := start(t, &project.Config{Gateway: &project.Gateway{Listen: "127.0.0.1:0"},
					Ops: &project.Ops{Listen: "127.0.0.1:0", Token: sesame},
					MCP: project.MCP{FastPath: &fast}, Agents: map[string]project.Agent{"far": ac}}, nil)
				testkit.Eventually(t, "the server is up", func() bool {
					return s.agentStatus("far").State == runtime.StateReady
				}, s.log)
				for _, c := range []struct{ path, version string }{{"/mcp", "2025-11-25"}, {"/mcp", "2026-07-28"},
					{"/sse", "2025-11-25"}, {"/sse", "2024-11-05"}} {
					raw := dialRaw(t, s.Status().URL, c.path, c.version)
					for method, params := range map[string]string{"tools/call": `{"name":"far_t","arguments":{}}`,
						"prompts/get": `{"name":"far_p"}`, "resources/read": `{"uri":"made://one"}`,
						"completion/complete": `{"ref":{"type":"ref/prompt","name":"far_p"},` +
							`"argument":{"name":"n","value":""}}`} {
						want := strings.ReplaceAll(refusing.Errors[method], sesame, "***")
						if c.version == "2026-07-28" { // which has another code for it
							want = strings.ReplaceAll(want, "-32002", "-32602")
						}
						got := member(raw.ask(method, params), "error")
						if got = strings.ReplaceAll(got, "é", `\u00e9`); !slices.Equal(tokens(got), tokens(want)) {
							t.Errorf("%s %s: %s is answered with\n%s\nwant\n%s", c.path, c.version, method, got, want)
						}
					}
				}
				_, err := agent.Ask[string](s.ctx, "far.t", note{})
				if e := agent.AsError(err); e.Code != agent.CodeToolFailed ||
					!slices.Equal(tokens(string(e.RPC)), tokens(visit)) ||
					string(e.Details) != member(visit, "data") || e.Message != "visit a page first" {
					t.Errorf("%v as %s with details %s", e, e.RPC, e.Details)
				}
			})
		}
	}
}
