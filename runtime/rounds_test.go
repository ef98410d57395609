package runtime_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime/project"
)

// form is an agent with tools that have an effect, ask twice, and have another one. Each effect is
// a line in a file.
type form struct {
	Ledger string `json:"ledger"`
}

type answer struct {
	Word string `json:"word"`
}

func (f *form) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{agent.NewTool("fill", "", f.fill),
		agent.NewTool("again", "", f.fill, agent.Idempotent())}}
}

func (f *form) fill(ctx context.Context, _ struct{}) (string, error) {
	return fillIn(f.Ledger, func(question string) (string, error) {
		a, err := agent.Elicit[answer](ctx, question)
		return a.Word, err
	})
}

// fillIn is what the tools do.
func fillIn(ledger string, ask func(string) (string, error)) (string, error) {
	f, err := os.OpenFile(ledger, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, "began in", os.Getpid()); err != nil {
		return "", err
	}
	name, err := ask("name?")
	if err != nil {
		return "", err
	}
	town, err := ask("town?")
	if err != nil {
		return "", err
	}
	said := name + " of " + town
	_, err = fmt.Fprintln(f, "wrote", said)
	return said, err
}

// oldForm is the same as a server of another's that speaks no later protocol than 2025-06-18.
func oldForm(in io.Reader, out io.WriteCloser) error {
	s := sdk.NewServer(&sdk.Implementation{Name: "form", Version: "1"}, nil)
	fill := func(ctx context.Context, r *sdk.CallToolRequest, _ struct{}) (*sdk.CallToolResult, any, error) {
		if version := r.Session.InitializeParams().ProtocolVersion; version != "2025-06-18" {
			return nil, nil, fmt.Errorf("the session has version %s", version)
		}
		said, err := fillIn(os.Getenv("LEDGER"), func(question string) (string, error) {
			res, err := r.Session.Elicit(ctx, &sdk.ElicitParams{Message: question, RequestedSchema: json.RawMessage(
				`{"type":"object","properties":{"word":{"type":"string"}},"required":["word"]}`)})
			if err != nil {
				return "", err
			}
			word, _ := res.Content["word"].(string)
			return word, nil
		})
		if err != nil {
			return nil, nil, err
		}
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: said}}}, nil, nil
	}
	sdk.AddTool(s, &sdk.Tool{Name: "fill"}, fill)
	sdk.AddTool(s, &sdk.Tool{Name: "again", Annotations: &sdk.ToolAnnotations{IdempotentHint: true}}, fill)
	return s.Run(context.Background(), &sdk.IOTransport{Reader: asked(in, "2025-06-18"), Writer: out})
}

// asked has the client of what it reads ask for no newer version than this.
func asked(in io.Reader, version string) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		lines := bufio.NewReader(in)
		for {
			line, err := lines.ReadBytes('\n')
			if bytes.Contains(line, []byte(`"method":"initialize"`)) {
				line = bytes.Replace(line, []byte(`"protocolVersion":"2025-11-25"`),
					[]byte(`"protocolVersion":"`+version+`"`), 1)
			}
			if _, failed := w.Write(line); failed != nil || err != nil {
				_ = w.CloseWithError(err) // nil: the reader is gone
				return
			}
		}
	}()
	return r
}

// entries returns the lines of a ledger.
func entries(t *testing.T, ledger string) []string {
	t.Helper()
	b, err := os.ReadFile(ledger)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// asker is a client of protocol 2026-07-28 that writes its requests itself.
type asker struct {
	t    *testing.T
	url  string
	tool string
}

// An outcome of a request is a question with the state of the call, a text, or an error.
type outcome struct {
	State, Question, Text string
	questions             []string // their ids
}

func (a asker) call(before outcome, word string) (out outcome) {
	a.t.Helper()
	meta := map[string]any{sdk.MetaKeyProtocolVersion: "2026-07-28",
		sdk.MetaKeyClientCapabilities: map[string]any{"elicitation": map[string]any{"form": map[string]any{}}}}
	params := map[string]any{"name": a.tool, "arguments": map[string]any{}, "_meta": meta}
	if before.State != "" {
		responses := map[string]any{}
		for _, id := range before.questions {
			responses[id] = map[string]any{"action": "accept", "content": answer{word}}
		}
		params["requestState"], params["inputResponses"] = before.State, responses
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
	if err != nil {
		a.t.Fatal(err)
	}
	_, text := ask(a.t, "POST", a.url+"/mcp", string(body), map[string]string{"MCP-Protocol-Version": "2026-07-28",
		"Mcp-Method": "tools/call", "Mcp-Name": a.tool})
	var res struct {
		Result struct {
			State    string                                               `json:"requestState"`
			Requests map[string]struct{ Params struct{ Message string } } `json:"inputRequests"`
			Content  []struct{ Text string }
			Meta     map[string]any `json:"_meta"`
			IsError  bool
		}
		Error *struct{ Message string }
	}
	for line := range strings.Lines(text) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "data: ")
		if strings.Contains(line, `"id":1`) {
			if err := json.Unmarshal([]byte(line), &res); err != nil {
				a.t.Fatal(err)
			}
		}
	}
	r := res.Result
	switch {
	case res.Error != nil:
		out.Text = "error: " + res.Error.Message
	case r.State != "":
		out.State = r.State
		for id, q := range r.Requests {
			out.Question = q.Params.Message
			out.questions = append(out.questions, id)
		}
	case r.IsError:
		out.Text = fmt.Sprint(r.Meta["openmas/code"], ": ", r.Content[0].Text)
	case len(r.Content) > 0:
		out.Text = r.Content[0].Text
	}
	if out.State == "" && out.Text == "" {
		a.t.Fatalf("no outcome: %s", text)
	}
	return out
}

// formProject has the form as one agent, reached in the ways that there are, and each with a ledger
// of its own.
func formProject(t *testing.T, dir string, agents ...string) *project.Config {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg := &project.Config{Dir: dir, Gateway: &project.Gateway{Listen: "127.0.0.1:0"},
		Agents: map[string]project.Agent{}}
	for _, name := range agents {
		ledger := filepath.Join(dir, name)
		if name == "old" {
			cfg.Agents[name] = project.Agent{Command: []string{exe}, Env: map[string]string{foreignVar: "form",
				"LEDGER": ledger}}
			continue
		}
		cfg.Agents[name] = project.Agent{Type: "form", Communicator: name, Config: map[string]any{"ledger": ledger}}
	}
	return cfg
}

// What a client of protocol 2026-07-28 carries is known to the other processes of the project, in
// this life and the next, and to no other project.
func TestStatesOfAProject(t *testing.T) {
	dir := t.TempDir()
	client := func(s *system, tool string) asker { return asker{t, s.Status().URL, "local_" + tool} }
	first, other := start(t, formProject(t, dir, "local"), nil), start(t, formProject(t, dir, "local"), nil)
	states := map[string]outcome{}
	for _, tool := range []string{"fill", "again"} {
		states[tool] = client(first, tool).call(outcome{}, "")
		if states[tool].Question != "name?" {
			t.Fatalf("%+v", states)
		}
	}
	check := func(s *system, why string) {
		t.Helper()
		if got := client(s, "fill").call(states["fill"], "Ada"); !strings.Contains(got.Text, "outcome_unknown: ") ||
			!strings.Contains(got.Text, why) {
			t.Errorf("%+v", got)
		}
		if got := client(s, "again").call(states["again"], "Ada"); got.Question != "town?" {
			t.Errorf("%+v", got)
		} else if got := client(s, "again").call(got, "Rome"); got.Text != "Ada of Rome" {
			t.Errorf("%+v", got)
		}
	}
	check(other, "it ran in process ")
	first.stop()
	if err := first.wait(); err != nil {
		t.Error(err)
	}
	check(start(t, formProject(t, dir, "local"), nil), "it ran in process ") // after the restart

	// Another project, and keys in the project file.
	refused := func(s *system) {
		t.Helper()
		for _, tool := range []string{"fill", "again"} {
			got := client(s, tool).call(states[tool], "Ada")
			if !strings.Contains(got.Text, "not made by this system") {
				t.Errorf("%+v", got)
			}
		}
	}
	keyed := func(keys ...string) *system {
		cfg := formProject(t, t.TempDir(), "local")
		cfg.MCP.RequestStateKeys = keys
		return start(t, cfg, nil)
	}
	refused(start(t, formProject(t, t.TempDir(), "local"), nil))
	old, next := strings.Repeat("old ", 8), strings.Repeat("new ", 8)
	here := keyed(old)
	refused(here)
	for _, tool := range []string{"fill", "again"} {
		states[tool] = client(here, tool).call(outcome{}, "")
	}
	check(keyed(old), "it ran in process ")
	check(keyed(next, old), "it ran in process ")
	refused(keyed(next))
	if strings.Contains(here.log.String(), old) {
		t.Error("the log shows the key")
	}
}

// A tool with effects that asks twice runs once, wherever it is: in this process, in a child of
// ours, or in a child that speaks an older version of the protocol.
func TestAToolThatAsksRunsOnce(t *testing.T) {
	dir := t.TempDir()
	agents := []string{project.OverLocal, project.OverPubSub, project.OverHTTP, project.OverStdio, "old"}
	s := start(t, formProject(t, dir, agents...), nil)
	for _, name := range agents {
		t.Run(name, func(t *testing.T) {
			client := asker{t, s.Status().URL, name + "_fill"}
			first := client.call(outcome{}, "")
			second := client.call(first, "Ada")
			if again := client.call(first, "Bob"); first.Question != "name?" || second.Question != "town?" ||
				again.State != second.State {
				t.Fatalf("%+v %+v %+v", first, second, again)
			}
			for range 2 {
				if got := client.call(second, "Rome"); got.Text != "Ada of Rome" {
					t.Errorf("%+v", got)
				}
			}
			if got := entries(t, filepath.Join(dir, name)); len(got) != 2 || got[1] != "wrote Ada of Rome" {
				t.Errorf("the ledger: %q", got)
			}
		})
	}
}

// A child that is killed while its question is open: nobody knows what it had done, so the call
// runs again only if the tool says that it may.
func TestAChildThatEndsWhileItAsks(t *testing.T) {
	for _, name := range []string{project.OverStdio, "old"} {
		for _, tool := range []string{"fill", "again"} {
			t.Run(name+" "+tool, func(t *testing.T) {
				dir := t.TempDir()
				cfg := formProject(t, dir, name)
				cfg.Defaults.Retry = project.Retry{Attempts: 20}
				if a := cfg.Agents[name]; name == "old" {
					yes := true
					a.Tools = map[string]project.Policy{"again": {Idempotent: &yes}}
					cfg.Agents[name] = a
				}
				s := start(t, cfg, nil)
				client, ledger := asker{t, s.Status().URL, name + "_" + tool}, filepath.Join(dir, name)
				first := client.call(outcome{}, "")
				var pid int
				if _, err := fmt.Sscanf(entries(t, ledger)[0], "began in %d", &pid); err != nil {
					t.Fatal(err)
				}
				child, err := os.FindProcess(pid)
				if err != nil {
					t.Fatal(err)
				}
				if err := child.Kill(); err != nil {
					t.Fatal(err)
				}
				got := client.call(first, "Ada")
				if tool == "fill" {
					if !strings.HasPrefix(got.Text, "outcome_unknown: ") {
						t.Errorf("%+v", got)
					}
				} else {
					for _, word := range []string{"Ada", "Rome"} {
						if got.Question == "" {
							t.Fatalf("%+v", got)
						}
						got = client.call(got, word)
					}
					if got.Text != "Ada of Rome" {
						t.Errorf("%+v", got)
					}
				}
				if got := entries(t, ledger); tool == "fill" && len(got) != 1 || tool == "again" && len(got) != 3 {
					t.Errorf("the ledger: %q", got)
				}
			})
		}
	}
}
