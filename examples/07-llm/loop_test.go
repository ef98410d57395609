package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
)

// receipts is the question of the demo.
var receipts = Question{"Add up my receipts, note the sum, and delete them."}

// notes are those of the demo.
func notes() *Notes {
	return &Notes{Notes: map[string]string{"receipt-bakery": "bread 4.2", "receipt-books": "two novels 31.5",
		"plan": "learn to whistle"}}
}

var yes = agenttest.OnElicit(Approval{Approve: true})

// with is an assistant whose model is a server.
func with(t *testing.T, h http.Handler) *Assistant {
	t.Helper()
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	a := NewAssistant()
	a.Model.BaseURL, a.Model.Name = web.URL+"/v1", "test"
	return a
}

// A recorder is a model of a script that keeps what it was asked.
type recorder struct {
	script

	mu    sync.Mutex
	asked []chatRequest
}

func record(t *testing.T, turns string) *recorder {
	t.Helper()
	s, err := parseScript([]byte(turns))
	if err != nil {
		t.Fatal(err)
	}
	return &recorder{script: s}
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var in chatRequest
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.asked = append(r.asked, in)
	r.mu.Unlock()
	req.Body = io.NopCloser(bytes.NewReader(body))
	r.script.ServeHTTP(w, req)
}

// told is the last message that the model got.
func (r *recorder) told() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.asked[len(r.asked)-1].Messages
	return last[len(last)-1].Content
}

// The same script gives the same transcript.
func TestReceipts(t *testing.T) {
	sys := agenttest.Run(t, agenttest.Agents{"assistant": NewAssistant(), "notes": notes(),
		"calculator": Calculator{}}, yes)
	got, err := agent.Ask[string](sys.Ctx(), "assistant.ask", receipts)
	want := `You spent 35.7, which is in the note "spent". The two receipts are deleted.`
	if err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	sys.Golden("testdata/receipts.golden")
}

// Who declines keeps the notes, and the model hears of it.
func TestDeclined(t *testing.T) {
	for name, answer := range map[string]any{
		"declined":    agent.ElicitResult{Action: agent.ElicitDecline},
		"dismissed":   agent.ElicitResult{Action: agent.ElicitCancel},
		"answered no": Approval{},
	} {
		t.Run(name, func(t *testing.T) {
			kept := notes()
			sys := agenttest.Run(t, agenttest.Agents{"assistant": NewAssistant(), "notes": kept,
				"calculator": Calculator{}}, agenttest.OnElicit(answer))
			got, err := agent.Ask[string](sys.Ctx(), "assistant.ask", receipts)
			if err != nil || !strings.Contains(got, "I deleted nothing") {
				t.Errorf("%q, %v", got, err)
			}
			if len(sys.Calls("notes.delete")) != 0 || kept.Notes["receipt-books"] == "" {
				t.Errorf("notes: %v", kept.Notes)
			}
		})
	}
}

// What the model does wrong, and what goes wrong with its tools, is told to the model.
func TestTheModelIsTold(t *testing.T) {
	unknown, invalid := "error: not_found: the tool ", "error: invalid_argument: "
	long := strings.Repeat("x", maxApproved)
	for name, tt := range map[string]struct{ tool, arguments, want string }{
		"no such tool":        {"notes_burn", `{}`, unknown + "notes_burn"},
		"the runtime":         {"openmas_status", `{}`, unknown + "openmas_status"},
		"itself":              {"assistant_ask", `{"question": "?"}`, unknown + "assistant_ask"},
		"broken arguments":    {"notes_read", `"{\"name\": \"pl"`, invalid + "the arguments are no JSON object"},
		"a list of arguments": {"notes_read", `["plan"]`, invalid + "the arguments are no JSON object"},
		"null":                {"notes_read", `null`, invalid},
		"wrong arguments":     {"notes_read", `{"nome": "plan"}`, invalid},
		"a tool that fails":   {"notes_read", `{"name": "x"}`, "error: not_found: the note x"},
		"no arguments":        {"notes_list", `""`, `["plan","receipt-bakery","receipt-books"]`},
		"nobody to approve":   {"notes_delete", `{"name": "plan"}`, "error: unavailable: nobody to ask"},
		"an unknown effect":   {"stranger_mystery", `{}`, "error: unavailable: nobody to ask"},
		"too much to approve": {"notes_delete", `{"name": "` + long + `"}`, "error: permission_denied: "},
		"a long result":       {"stranger_talk", `{}`, strings.Repeat("é", maxResult/2) + " [cut]"},
	} {
		t.Run(name, func(t *testing.T) {
			model := record(t, `[{"after": "^user: ", "call": [{"tool": "`+tt.tool+`", "arguments": `+tt.arguments+
				`}]}, {"say": "done"}]`)
			talk := func(context.Context, struct{}) (string, error) { return strings.Repeat("é", maxResult), nil }
			sys := agenttest.Run(t, agenttest.Agents{"assistant": with(t, model), "notes": notes(),
				"openmas":  agenttest.Script{"status": "fine"},
				"stranger": agenttest.Script{"mystery": "", "": agent.NewTool("talk", "", talk, agent.ReadOnly())}})
			got, err := agent.Ask[string](sys.Ctx(), "assistant.ask", Question{"Go on."})
			if err != nil || got != "done" || !strings.HasPrefix(model.told(), tt.want) {
				t.Errorf("%q, %v; the model was told %.200q, want %.200q", got, err, model.told(), tt.want)
			}
		})
	}
}

// The model sees the tools of the agents that it may use, as the gateway names them, with their
// schemas.
func TestTools(t *testing.T) {
	model := record(t, `[{"say": "done"}]`)
	a := with(t, model)
	a.Agents = []string{"notes"}
	sys := agenttest.Run(t, agenttest.Agents{"assistant": a, "notes": notes(), "calculator": Calculator{}})
	if _, err := agent.Ask[string](sys.Ctx(), "assistant.ask", Question{"What can you do?"}); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range model.asked[0].Tools {
		names = append(names, s.Function.Name)
		if !strings.Contains(string(s.Function.Parameters), `"type":"object"`) || s.Function.Description == "" {
			t.Errorf("%s: %s", s.Function.Name, s.Function.Parameters)
		}
	}
	if got := strings.Join(names, " "); got != "notes_list notes_read notes_write notes_delete" {
		t.Errorf("the tools are %s", got)
	}
}

// A question that needs more than its budget ends, with the key that changes it, and what was not
// paid for does not run.
func TestBudget(t *testing.T) {
	const forever = `[{"say": "Once more.", "call": [{"tool": "notes_list"}, {"tool": "notes_list"}]}]`
	for key, tt := range map[string]struct {
		budget       Budget
		models, used int
	}{
		"model_calls": {Budget{3, 100, 100_000}, 3, 6},
		"tool_calls":  {Budget{100, 5, 100_000}, 3, 5},
		"tokens":      {Budget{100, 100, 40}, 1, 0},
	} {
		t.Run(key, func(t *testing.T) {
			model := record(t, forever)
			a := with(t, model)
			a.Budget, a.Instructions = tt.budget, strings.Repeat("word ", 40)
			sys := agenttest.Run(t, agenttest.Agents{"assistant": a, "notes": notes()})
			_, err := agent.Ask[string](sys.Ctx(), "assistant.ask", Question{"Go on."})
			if agent.CodeOf(err) != agent.CodeResourceExhausted ||
				!strings.Contains(err.Error(), "config.budget."+key) {
				t.Errorf("%v", err)
			}
			if n := len(sys.Calls("notes.list")); n != tt.used || len(model.asked) != tt.models {
				t.Errorf("%d calls of tools and %d of the model, want %d, %d", n, len(model.asked), tt.used, tt.models)
			}
		})
	}
}

// An answer that has no end is cut off while it comes, whatever the server says that it costs.
func TestEndlessAnswer(t *testing.T) {
	gone := make(chan struct{})
	a := with(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, `data: {"choices":[{"delta":{"content":"la "}}]}`+"\n\n"); err != nil {
				return
			}
		}
	}))
	a.Budget.Tokens = 500
	sys := agenttest.Run(t, agenttest.Agents{"assistant": a})
	_, err := agent.Ask[string](sys.Ctx(), "assistant.ask", Question{"Sing."})
	if agent.CodeOf(err) != agent.CodeResourceExhausted || !strings.Contains(err.Error(), "budget of 500 tokens") {
		t.Errorf("%v", err)
	}
	<-gone
}

// The loop stays short enough to be read in one go.
func TestTheLoopIsShort(t *testing.T) {
	text, err := os.ReadFile("loop.go")
	if n := bytes.Count(text, []byte("\n")); err != nil || n > 120 {
		t.Errorf("%d lines, %v; at most 120", n, err)
	}
}
