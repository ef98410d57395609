package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/requeststate"
	"github.com/openmas/openmas/mcp/server/internal/held"
)

// A form is an endpoint with two tools that ask twice, one of which is safe to repeat, and a client
// of protocol 2026-07-28 that makes requests of its own.
type form struct {
	ep   *endpoint
	runs atomic.Int64 // of both
	// ended are the errors that questions without an answer ended with.
	mu    sync.Mutex
	ended []error
}

func newForm() *form { return newFormWith(nil) }

// newFormWith is one whose calls wait in a process; nil: of its own.
func newFormWith(process *Process) *form {
	f := &form{}
	schema := json.RawMessage(`{"type":"object"}`)
	info := agent.Info{Name: "form", Tools: []agent.ToolInfo{{Name: "fill", InputSchema: schema},
		{Name: "look", InputSchema: schema, Annotations: &agent.Annotations{ReadOnly: true}}}}
	f.ep = soleEndpoint(Options{Process: process}.withDefaults(), info, agent.CallerFunc(f.call), new(calls.Gate), nil)
	return f
}

func (f *form) call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	run := f.runs.Add(1)
	var all []string
	for _, q := range []string{"name", "town"} {
		answer, err := c.Back.Request(ctx, agent.Request{Kind: agent.AskElicit,
			Params: json.RawMessage(fmt.Sprintf(`{"message":%q}`, q))})
		if err != nil {
			f.mu.Lock()
			f.ended = append(f.ended, err)
			f.mu.Unlock()
			return nil, err
		}
		all = append(all, string(answer))
	}
	return agent.TextResult(fmt.Sprintf("run %d: %s", run, strings.Join(all, " "))), nil
}

// request is one request of the client: the answer goes to every question that is open.
func (f *form) request(ctx context.Context, tool string, p *agent.Pending, answer string) (*agent.Result, error) {
	c := newSession(ctx, f.ep, mcp.Streamable, Identity{}, nil)
	defer c.cancel()
	r := &request{op: agent.OpTool, name: tool, round: &round{caps: &sdk.ClientCapabilities{
		Elicitation: &sdk.ElicitationCapabilities{}}}}
	r.meta.Timeout = 10 * time.Second
	if p != nil {
		r.round.state, r.round.answers = p.State, map[string]json.RawMessage{}
		for id := range p.Requests {
			r.round.answers[id] = json.RawMessage(answer)
		}
	}
	return f.ep.serveRequest(ctx, nil, c, r)
}

// asked makes a request that must end with one question.
func (f *form) asked(t *testing.T, tool string, p *agent.Pending, answer, want string) *agent.Pending {
	t.Helper()
	res, err := f.request(t.Context(), tool, p, answer)
	if err != nil || res.Pending == nil || len(res.Pending.Requests) != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	for _, q := range res.Pending.Requests {
		if !strings.Contains(string(q.Params), want) {
			t.Fatalf("asked %s, want %s", q.Params, want)
		}
	}
	return res.Pending
}

func (f *form) text(t *testing.T, tool string, p *agent.Pending, answer string) string {
	t.Helper()
	res, err := f.request(t.Context(), tool, p, answer)
	if err != nil {
		return string(agent.CodeOf(err)) + ": " + err.Error()
	}
	return res.Text()
}

// A tool that asks twice runs once, however long people think; what is asked again is answered
// alike.
func TestAHeldCallRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForm()
		defer f.ep.held.Close(t.Context(), shuttingDown())
		first := f.asked(t, "fill", nil, "", "name")
		time.Sleep(9 * time.Minute) // its timeout is 10 s, and stands still
		second := f.asked(t, "fill", first, `"Ada"`, "town")
		if again := f.asked(t, "fill", first, `"Bob"`, "town"); again.State != second.State {
			t.Error("another state for the same request")
		}
		time.Sleep(9 * time.Minute) // as above
		for range 3 {
			if got := f.text(t, "fill", second, `"Rome"`); got != `run 1: "Ada" "Rome"` {
				t.Error(got)
			}
		}
		if f.runs.Load() != 1 {
			t.Errorf("it ran %d times", f.runs.Load())
		}
		if n := f.ep.gate.InFlight(); n != 0 {
			t.Errorf("%d calls in flight", n)
		}
	})
}

// When the call is gone, one that is safe to repeat runs again with the answers, and no other does.
func TestAHeldCallThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForm()
		defer f.ep.held.Close(t.Context(), shuttingDown())
		states := map[string]*agent.Pending{}
		for _, tool := range []string{"fill", "look"} {
			states[tool] = f.asked(t, tool, f.asked(t, tool, nil, "", "name"), `"Ada"`, "town")
		}
		time.Sleep(held.Life + time.Second) // nobody answers
		synctest.Wait()
		if f.mu.Lock(); len(f.ended) != 2 || agent.CodeOf(f.ended[0]) != agent.CodeDeadlineExceeded {
			t.Errorf("ended with %v", f.ended)
		}
		f.mu.Unlock()
		if got := f.text(t, "fill", states["fill"], `"Rome"`); !strings.HasPrefix(got, "outcome_unknown: ") {
			t.Error(got)
		}
		if got := f.text(t, "look", states["look"], `"Rome"`); got != `run 3: "Ada" "Rome"` {
			t.Error(got)
		}
	})
}

// Beyond the bound, which is that of the process, a call that is safe to repeat goes without being
// held; another cannot ask.
func TestHeldCallsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		process := NewProcess("p1", nil)
		f, other := newFormWith(process), newFormWith(process)
		defer f.ep.held.Close(t.Context(), shuttingDown())
		waiting := make([]*agent.Pending, held.Max)
		for i := range waiting {
			waiting[i] = []*form{f, other}[i%2].asked(t, "fill", nil, "", "name")
		}
		if got := f.text(t, "fill", nil, ""); !strings.Contains(got, "1000 calls wait") {
			t.Error(got)
		}
		p := f.asked(t, "look", f.asked(t, "look", nil, "", "name"), `"Ada"`, "town")
		if got := f.text(t, "look", p, `"Rome"`); !strings.HasSuffix(got, `: "Ada" "Rome"`) ||
			f.runs.Load() != held.Max/2+4 {
			t.Errorf("%s after %d runs", got, f.runs.Load())
		}
		// One that has ended makes room, at whatever server.
		other.text(t, "fill", other.asked(t, "fill", waiting[1], `"Ada"`, "town"), `"Rome"`)
		f.asked(t, "fill", nil, "", "name")
		// So does a server that ends, and it ends no calls of others.
		other.ep.held.Close(t.Context(), shuttingDown())
		for range held.Max/2 - 1 {
			f.asked(t, "fill", nil, "", "name")
		}
		if got := f.text(t, "fill", nil, ""); !strings.Contains(got, "1000 calls wait") {
			t.Error(got)
		}
		f.asked(t, "fill", waiting[0], `"Ada"`, "town")
	})
}

// A state of another process of the project, or of a life before a restart, is known. What waits
// there does not run here unless it is safe to repeat. A state of another project is refused.
func TestStatesOfOtherProcesses(t *testing.T) {
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	process := func(name string, keys ...[]byte) *form {
		return newFormWith(NewProcess(name, func() [][]byte { return keys }))
	}
	synctest.Test(t, func(t *testing.T) {
		p1, p2 := process("p1", key(1)), process("p2", key(1))
		rotated, other := process("p3", key(2), key(1)), process("p4", key(2))
		for _, f := range []*form{p1, p2, rotated, other} {
			defer f.ep.held.Close(t.Context(), shuttingDown())
		}
		states := map[string]*agent.Pending{}
		for _, tool := range []string{"fill", "look"} {
			states[tool] = p1.asked(t, tool, p1.asked(t, tool, nil, "", "name"), `"Ada"`, "town")
		}
		for _, f := range []*form{p2, rotated} {
			if got := f.text(t, "fill", states["fill"], `"Rome"`); !strings.HasPrefix(got, "outcome_unknown: ") ||
				!strings.Contains(got, "it ran in process p1") {
				t.Error(got)
			}
			if got := f.text(t, "look", states["look"], `"Rome"`); got != `run 1: "Ada" "Rome"` {
				t.Error(got)
			}
		}
		for _, tool := range []string{"fill", "look"} {
			if got := other.text(t, tool, states[tool], `"Rome"`); !strings.Contains(got, "not made by this system") {
				t.Error(got)
			}
		}
		if other.runs.Load() != 0 {
			t.Error("it ran for a state that is not ours")
		}
		if got := p1.text(t, "fill", states["fill"], `"Rome"`); got != `run 1: "Ada" "Rome"` {
			t.Error(got)
		}

		again := p1.asked(t, "fill", nil, "", "name")
		look := p1.asked(t, "look", nil, "", "name")
		time.Sleep(requeststate.Life + time.Second)
		for _, f := range []*form{p1, p2} {
			if got := f.text(t, "fill", again, `"Ada"`); !strings.HasPrefix(got, "outcome_unknown: ") {
				t.Error(got)
			}
			if got := f.text(t, "look", look, `"Ada"`); !strings.Contains(got, "has expired: make the call anew") {
				t.Error(got)
			}
		}
	})
}

// A question that its tool has given up is not asked any more.
func TestAQuestionIsWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForm()
		f.ep.caller = agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			short, cancel := context.WithTimeout(ctx, time.Second) // less than what is left to the call
			defer cancel()
			_, late := c.Back.Request(short, agent.Request{Kind: agent.AskElicit, Params: json.RawMessage(`"quick?"`)})
			answer, err := c.Back.Request(ctx, agent.Request{Kind: agent.AskElicit, Params: json.RawMessage(`"slow?"`)})
			return agent.TextResult(fmt.Sprint(agent.CodeOf(late), " ", string(answer))), err
		})
		defer f.ep.held.Close(t.Context(), shuttingDown())
		first := f.asked(t, "fill", nil, "", "quick?")
		time.Sleep(2 * time.Second)
		first.Requests = nil // the client answers nothing
		if got := f.text(t, "fill", f.asked(t, "fill", first, "", "slow?"), `2`); got != "deadline_exceeded 2" {
			t.Error(got)
		}
	})
}

// A drain waits for no answer of a person, and a client that goes away ends its call.
func TestWhatEndsAHeldCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForm()
		first := f.asked(t, "fill", nil, "", "name")
		f.ep.held.Drain(shuttingDown())
		synctest.Wait()
		if got := f.text(t, "fill", first, `"Ada"`); !strings.HasPrefix(got, "unavailable: ") {
			t.Error(got)
		}
		f.ep.held.Close(t.Context(), shuttingDown())

		slow := newForm()
		slow.ep.caller = agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			if _, err := c.Back.Request(ctx, agent.Request{Kind: agent.AskElicit}); err != nil {
				return nil, err
			}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		defer slow.ep.held.Close(t.Context(), shuttingDown())
		res, err := slow.request(t.Context(), "fill", nil, "")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error)
		go func() {
			_, err := slow.request(ctx, "fill", res.Pending, "1")
			over <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-over; agent.CodeOf(err) != agent.CodeCanceled {
			t.Error(err)
		}
		// It is still known: the same request is answered alike.
		if _, err := slow.request(t.Context(), "fill", res.Pending, "1"); agent.CodeOf(err) != agent.CodeCanceled {
			t.Error(err)
		}
	})
}
