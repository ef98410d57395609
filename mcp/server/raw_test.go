package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// answering is a foreign agent whose answers are given.
func answering(name string, answer func(c *agent.Call) (*agent.Result, error)) *foreign {
	return &foreign{infos: []agent.Info{{Name: name, Tools: []agent.ToolInfo{{Name: "t"}},
		Prompts:   []agent.PromptInfo{{Name: "p"}},
		Resources: []agent.ResourceInfo{{URI: "r://1", Name: "r"}}}},
		Caller: agent.CallerFunc(func(_ context.Context, c *agent.Call) (*agent.Result, error) { return answer(c) })}
}

func nothingOdd(string) {}

// read is the result that a client of package mcp/client makes of a server's answer.
func read(t *testing.T, op agent.Op, raw string) (res *agent.Result, err error) {
	t.Helper()
	switch op {
	case agent.OpPrompt:
		return codec.ReadPromptResult(json.RawMessage(raw), nothingOdd)
	case agent.OpResource:
		return codec.ReadResourceResult(json.RawMessage(raw), "x://y", nothingOdd)
	case agent.OpComplete:
		return codec.ReadCompleteResult(json.RawMessage(raw))
	}
	return codec.DecodeToolResult(json.RawMessage(raw), false)
}

func TestForeignResultsAreSentAsTheyCame(t *testing.T) {
	const text = `{"later":1.50,"text":"\u00e9 <b>","type":"text","annotations":{"priority":1.0},"_meta":{"n":9007199254740993}}`
	const image = `{"type":"image","data":"aGk=","mimeType":"image/png","annotations":{"priority":0.10,"x":12345678901234567890}}`
	const audio, link = `{"type":"audio","data":"aGk=","mimeType":"audio/wav"}`,
		`{"type":"resource_link","icons":[],"uri":"x://1","name":"n"}`
	for _, c := range []struct{ name, method, params, raw, oldest, later, newest string }{
		{"a plain tool", "tools/call", `{"name":"a_t"}`, `{"content":[{"type":"text","text":"w"}]}`, "", "", ""},
		{"everything", "tools/call", `{"name":"a_t"}`,
			`{"structuredContent":{"z":12345678901234567890.0,"a":1e400},"own":[1.0],"content":[` + text + `,` + image +
				`],"_meta":{"k":{"b":1,"a":1.0}}}`, "", "", ""},
		{"isError false", "tools/call", `{"name":"a_t"}`, `{"isError":false,"content":[]}`, "", "", ""},
		{"an unknown block", "tools/call", `{"name":"a_t"}`,
			`{"content":[{"type":"video","url":"x"},{"type":"text","text":"w"}]}`, "", "", ""},
		{"blocks that are too new", "tools/call", `{"name":"a_t"}`, `{"content":[` + audio + `,` + link + `]}`,
			`{"content":[` + audio + `,{"type":"text","text":"n x://1"}]}`, "", ""},
		{"an array", "tools/call", `{"name":"a_t"}`, `{"structuredContent":[1.0],"content":[` + image + `]}`,
			`{"content":[` + image + `]}`, `{"content":[` + image + `]}`, ""},
		{"an array alone", "tools/call", `{"name":"a_t"}`, `{"structuredContent":[1.0],"content":[]}`,
			`{"content":[{"type":"text","text":"[1.0]"}]}`, `{"content":[{"type":"text","text":"[1.0]"}]}`, ""},
		{"what each server says for itself", "tools/call", `{"name":"a_t"}`,
			`{"resultType":"complete","content":[],"_meta":{"openmas/code":"internal","io.modelcontextprotocol/serverInfo":{"name":"far"},"k":1.0}}`,
			`{"content":[],"_meta":{"k":1.0}}`, `{"content":[],"_meta":{"k":1.0}}`, `{"content":[],"_meta":{"k":1.0}}`},
		{"an error", "tools/call", `{"name":"a_t"}`,
			`{"structuredContent":{"n":9007199254740993},"isError":true,"content":[` + text + `,` + image + `],"x":1}`,
			"", "", ""},
		{"an error with a code", "tools/call", `{"name":"a_t"}`,
			`{"isError":true,"content":[` + image + `],"_meta":{"openmas/code":"unavailable","openmas/logged":true,"k":1.0}}`,
			`{"isError":true,"content":[` + image + `],"_meta":{"k":1.0}}`,
			`{"isError":true,"content":[` + image + `],"_meta":{"k":1.0}}`,
			`{"isError":true,"content":[` + image + `],"_meta":{"k":1.0}}`},
		{"a prompt", "prompts/get", `{"name":"a_p"}`, `{"messages":[{"content":` + text +
			`,"role":"user","x":1.0}],"description":"d","_meta":{"k":1.0}}`, "", "", ""},
		{"a prompt that is too new", "prompts/get", `{"name":"a_p"}`, `{"messages":[{"role":"user","content":` + link +
			`}]}`,
			`{"messages":[{"role":"user","content":{"type":"text","text":"n x://1"}}]}`, "", ""},
		{"a resource", "resources/read", `{"uri":"r://1"}`,
			`{"contents":[{"text":"\u00e9","uri":"r://1","_meta":{"n":1.0},"x":2.0}],"ttlMs":5000,"y":1.0}`,
			`{"contents":[{"text":"\u00e9","uri":"r://1","_meta":{"n":1.0},"x":2.0}],"y":1.0}`,
			`{"contents":[{"text":"\u00e9","uri":"r://1","_meta":{"n":1.0},"x":2.0}],"y":1.0}`,
			`{"contents":[{"text":"\u00e9","uri":"r://1","_meta":{"n":1.0},"x":2.0}],"ttlMs":0,"y":1.0,"cacheScope":"private"}`},
		{"a completion", "completion/complete",
			`{"ref":{"type":"ref/prompt","name":"a_p"},"argument":{"name":"x","value":""}}`,
			`{"completion":{"values":["\u00e9"],"total":1},"_meta":{"k":1.0}}`, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := answering("a", func(call *agent.Call) (*agent.Result, error) { return read(t, call.Op, c.raw) })
			for _, fast := range []bool{true, false} {
				s := newSite(t, dir, GatewayOptions{Options: Options{NoFastPath: !fast}})
				for version, want := range map[string]string{codec.Version20250326: c.oldest,
					codec.Version20251125: c.later,
					codec.Version20260728: c.newest} {
					got := s.ask(t, "", version, c.method, c.params)
					if version == codec.Version20260728 {
						got = withoutOurs(t, got, s)
					}
					if want = `"result":` + cmp.Or(want, c.raw) + `}`; !strings.HasSuffix(got, want) {
						t.Errorf("%s, fast path %v: %s\nwant %s", version, fast, got, want)
					}
				}
			}
		})
	}
}

// The notifications of a foreign server reach clients as they came, but for the progress token.
func TestForeignNoticesAreSentAsTheyCame(t *testing.T) {
	const progress = `{"progress":1.0,"x":9007199254740993,"progressToken":%s,"_meta":{"k":1.0},"message":"<é>"}`
	const line = `{"level":"alert","data":{"n":9007199254740993,"f":1.0},"later":[1.0],"_meta":{"k":1.0%s}}`
	dir := answering("a", nil)
	dir.Caller = agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		c.Back.Notify(ctx, agent.Notice{Progress: &agent.ProgressNotice{Progress: 1},
			Raw: json.RawMessage(fmt.Sprintf(progress, `"om-1"`))})
		c.Back.Notify(ctx, agent.Notice{Log: &agent.LogNotice{Level: slog.LevelError + 8},
			Raw: json.RawMessage(fmt.Sprintf(line, `,"openmas/id":"forged"`))})
		return agent.TextResult("fine"), nil
	})
	for _, fast := range []bool{true, false} {
		s := newSite(t, dir, GatewayOptions{Options: Options{NoFastPath: !fast}})
		c := s.dial(t, "", codec.Version20251125)
		_, _, got := send(t, "POST", c.url, c.header,
			`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a_t","_meta":{"progressToken":7}}}`)
		for _, want := range []string{fmt.Sprintf(progress, "7"), fmt.Sprintf(line, "")} {
			if got := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(got); !strings.Contains(got, want) {
				t.Errorf("fast path %v: %s\nwant %s", fast, got, want)
			}
		}
	}
}

// withoutOurs takes out of an answer of protocol 2026-07-28 what each server says for itself.
func withoutOurs(t *testing.T, answer string, s *site) string {
	t.Helper()
	msg, err := jsonObject(answer)
	result, bad := jsonObject(string(msg.Get("result")))
	meta, none := jsonObject(string(result.Get("_meta")))
	if err != nil || bad != nil || none != nil || string(meta.Get("io.modelcontextprotocol/serverInfo")) != string(
		s.all.selfJSON) ||
		string(result.Get("resultType")) != `"complete"` {
		t.Errorf("the server does not say what it has to: %s", answer)
	}
	meta.Delete("io.modelcontextprotocol/serverInfo")
	result.Delete("resultType")
	if result.Set("_meta", meta.Raw()); string(meta.Raw()) == "{}" {
		result.Delete("_meta")
	}
	msg.Set("result", result.Raw())
	return string(msg.Raw())
}

func jsonObject(s string) (*codec.Object, error) {
	o, err := codec.ReadObject([]byte(s))
	if err != nil {
		return &codec.Object{}, err
	}
	return o, nil
}

// A link that a tool has returned is read at its agent, by the session that got it.
func TestLinksThatAToolHasReturned(t *testing.T) {
	answer := func(c *agent.Call) (*agent.Result, error) {
		if c.Op == agent.OpResource {
			return codec.ReadResourceResult(
				json.RawMessage(fmt.Sprintf(`{"contents":[{"uri":%q,"text":%q}]}`, c.Name, c.Target())), c.Name,
				nothingOdd)
		}
		return codec.DecodeToolResult(
			json.RawMessage(`{"content":[{"type":"resource_link","uri":"made://one off","name":"n"},
			{"type":"resource","resource":{"uri":"r://1","text":"x"}}],"_meta":{"ui":{"resourceUri":"r://1"}}}`), false)
	}
	dir := answering("zoe", answer)
	dir.infos = append(dir.infos, agent.Info{Name: "amy", Resources: []agent.ResourceInfo{{URI: "r://1", Name: "r"}}})
	s := newSite(t, dir, GatewayOptions{Options: Options{Identify: tokens}})
	for _, version := range []string{codec.Version20251125, codec.Version20260728} {
		t.Run(version, func(t *testing.T) {
			c, other := s.dialAs(t, "", version, "ann"), s.dialAs(t, "", version, "bob")
			if got := c.ask(t, "resources/read", `{"uri":"made://one off"}`); !strings.Contains(got, "error") {
				t.Errorf("before it was returned: %s", got)
			}
			// amy has r://1 as well
			if got := c.ask(t, "tools/call", `{"name":"zoe_t"}`); !strings.Contains(got, `"made://one off"`) ||
				!strings.Contains(got, `"uri":"r://zoe/1"`) ||
				!strings.Contains(got, `"ui":{"resourceUri":"r://zoe/1"}`) {
				t.Error(got)
			}
			for sent, want := range map[string]string{"made://one off": "zoe.made://one off",
				"made://one%20off": "zoe.made://one off",
				"r://zoe/1":        "zoe.r://1", "r://1": "amy.r://1"} {
				if got := c.ask(t, "resources/read",
					fixture.MustJSON(t, map[string]string{"uri": sent})); !strings.Contains(got, `"text":"`+want+`"`) {
					t.Errorf("%s: %s", sent, got)
				}
			}
			if got := c.ask(t, "resources/read", `{"uri":"r://zoe/1"}`); !strings.Contains(got, `"uri":"r://zoe/1"`) {
				t.Errorf("the contents have another URI: %s", got)
			}
			if got := other.ask(t, "resources/read", `{"uri":"made://one off"}`); !strings.Contains(got, "error") {
				t.Errorf("another client: %s", got)
			}
		})
	}
	// Anonymous clients of the version without sessions cannot be told apart.
	t.Run("strangers", func(t *testing.T) {
		dir := answering("zoe", answer)
		dir.infos = append(dir.infos, agent.Info{Name: "amy", Tools: dir.infos[0].Tools,
			Resources: []agent.ResourceInfo{{Template: "made://{+name}", Name: "t"}}},
			agent.Info{Name: "eve", Tools: dir.infos[0].Tools})
		s := newSite(t, dir, GatewayOptions{})
		c, other := s.dial(t, "", codec.Version20260728), s.dial(t, "", codec.Version20260728)
		if got := other.ask(t, "tools/call", `{"name":"eve_t"}`); !strings.Contains(got, `"made://eve/one off"`) {
			t.Errorf("a link that fits another agent's template: %s", got)
		}
		read := func(uri string) string {
			return c.ask(t, "resources/read", fmt.Sprintf(`{"uri":%q}`, uri))
		}
		if got := read("made://one off"); !strings.Contains(got, `"text":"amy.made://one off"`) {
			t.Errorf("led away from the template: %s", got)
		}
	})
	t.Run("taken", func(t *testing.T) {
		dir := answering("amy", answer)
		dir.infos = append(dir.infos, agent.Info{Name: "eve", Tools: dir.infos[0].Tools,
			Resources: []agent.ResourceInfo{{Template: "own://{id}", Name: "t"}}},
			agent.Info{Name: "zoe", Resources: []agent.ResourceInfo{{Template: "own://{id}", Name: "t"}}})
		s := newSite(t, dir, GatewayOptions{})
		for _, version := range []string{codec.Version20251125, codec.Version20260728} {
			c := s.dial(t, "", version)
			c.ask(t, "tools/call", `{"name":"amy_t"}`)
			if got := c.ask(t, "tools/call", `{"name":"eve_t"}`); !strings.Contains(got, `"made://eve/one off"`) {
				t.Errorf("%s: a link that another agent has returned before: %s", version, got)
			}
			for sent, want := range map[string]string{"made://one off": "amy.made://one off",
				"made://eve/one off": "eve.made://one off", "own://5": "eve.own://5", "own://zoe/5": "zoe.own://5"} {
				got := c.ask(t, "resources/read", fmt.Sprintf(`{"uri":%q}`, sent))
				if !strings.Contains(got, `"text":"`+want+`"`) ||
					!strings.Contains(got, fmt.Sprintf(`"uri":%q`, sent)) {
					t.Errorf("%s: %s: %s", version, sent, got)
				}
			}
		}
	})
	t.Run("not exposed", func(t *testing.T) {
		s := newSite(t, dir, GatewayOptions{Expose: []string{"zoe.t"}})
		c := s.dial(t, "", codec.Version20251125)
		c.ask(t, "tools/call", `{"name":"zoe_t"}`)
		if got := c.ask(t, "resources/read", `{"uri":"made://one off"}`); !strings.Contains(got, "error") {
			t.Error(got)
		}
		alone := s.dial(t, "/agents/zoe", codec.Version20251125)
		alone.ask(t, "tools/call", `{"name":"t"}`)
		for _, link := range []string{"made://one off", "r://1"} {
			for _, method := range []string{"resources/read", "resources/subscribe"} {
				if got := alone.ask(t, method, fmt.Sprintf(`{"uri":%q}`, link)); !strings.Contains(got, "error") {
					t.Errorf("%s: %s", method, got)
				}
			}
		}
	})
}

// What our processes keep of an error for each other is not for strangers.
func TestStrangersLearnOfAnErrorWhatTheDocsPromise(t *testing.T) {
	failed := agent.AsLogged(&agent.Error{Code: agent.CodeUnavailable, Message: "closed", RetryAfter: time.Second,
		Details: json.RawMessage(`{"n":1}`), NotExecuted: true})
	foreign := *failed
	foreign.Raw = json.RawMessage(`{"content":[],"isError":true}`)
	for _, fast := range []bool{true, false} {
		for _, err := range []error{failed, &foreign} {
			s := newSite(t, answering("a", func(*agent.Call) (*agent.Result, error) { return nil, err }),
				GatewayOptions{Options: Options{Identify: tokens, NoFastPath: !fast}})
			for method, params := range map[string]string{"tools/call": `{"name":"a_t"}`,
				"prompts/get": `{"name":"a_p"}`, "resources/read": `{"uri":"r://1"}`} {
				stranger := s.dialAs(t, "", codec.Version20251125, "ann").ask(t, method, params)
				ours := s.dialAs(t, "", codec.Version20251125, "!b").ask(t, method, params)
				if !strings.Contains(stranger, `"unavailable"`) || strings.Contains(stranger, "logged") ||
					strings.Contains(stranger, `"raw"`) {
					t.Errorf("fast path %v, %s: a stranger gets %s", fast, method, stranger)
				}
				if !strings.Contains(ours, `logged":true`) {
					t.Errorf("fast path %v, %s: ours gets %s", fast, method, ours)
				}
			}
		}
	}
}
