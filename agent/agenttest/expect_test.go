package agenttest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
)

// An expectation that was not met fails the test, and shows what was called in its place.
func ExampleExpect() {
	TestTraveller := func(t testing.TB) {
		withB := func(p Place) bool { return strings.HasPrefix(p.Name, "B") }
		sys := agenttest.Run(t, agenttest.Agents{
			"traveller": Traveller{},
			"geo": agenttest.Script{"locate": agenttest.
				Expect(Place{"Bern"}, Position{46.9, 7.4}).
				And(agenttest.Where(withB), Position{1, 2}).Times(2).
				And(agenttest.Has{"name": "Atlantis"}, agent.NotFound("Atlantis")).AnyTimes()},
		})
		for _, name := range []string{"Bern", "Basel", "Atlantis"} {
			fmt.Println(agent.Ask[string](sys.Ctx(), "traveller.plan", Place{name}))
		}
	}
	run(TestTraveller)
	// Output:
	// Head for 46.9, 7.4. <nil>
	// Head for 1.0, 2.0. <nil>
	//  not_found: Atlantis does not exist
	// expect_test.go:25: the calls of geo.locate are not those that the test expects
	//   expected:
	//     {"name":"Bern"}, once: came 1 times
	//     an input for which func(agenttest_test.Place) bool is true, 2 times: came 1 times
	//     an input that has {"name":"Atlantis"}, any number of times: came 1 times
	//   came:
	//     {"name":"Bern"}
	//     {"name":"Basel"}
	//     {"name":"Atlantis"}
}

// failures runs a test and returns what it failed with.
func failures(test func(testing.TB)) string {
	t := &failing{}
	test(t)
	for i := len(t.cleanup) - 1; i >= 0; i-- {
		t.cleanup[i]()
	}
	return t.text.String()
}

type failing struct {
	standIn
	text strings.Builder
}

func (t *failing) Error(args ...any) { fmt.Fprintln(&t.text, args...) }

func (t *failing) Errorf(f string, args ...any) { fmt.Fprintf(&t.text, f+"\n", args...) }

func TestExpect(t *testing.T) {
	type object = map[string]any
	type big struct {
		N int64 `json:"n"`
	}
	const n = 1<<53 + 1
	expect := agenttest.Expect
	always := agenttest.Where(func(big) bool { return true })
	for name, tt := range map[string]struct {
		expect *agenttest.Expectations
		calls  []any
		want   string // in the report; empty: none
	}{
		"met":                    {expect(Place{"Bern"}, 1), []any{Place{"Bern"}}, ""},
		"never called":           {expect(Place{"Bern"}, 1), nil, "came: no call"},
		"another input":          {expect(Place{"Bern"}, 1), []any{Place{"Basel"}}, "came:\n    {\"name\":\"Basel\"}"},
		"once too often":         {expect(nil, 1), []any{Place{}, Place{}}, "any input, once: came 1 times"},
		"other order of keys":    {expect(object{"b": 1, "a": 2}, 1), []any{json.RawMessage(`{"b":1,"a":2}`)}, ""},
		"must not come":          {expect(nil, 1).Times(0), nil, ""},
		"comes although not":     {expect(nil, 1).Times(0), []any{Place{}}, "any input, 0 times"},
		"any times, none":        {expect(nil, 1).AnyTimes(), nil, ""},
		"a part":                 {expect(agenttest.Has{"a": 1}, 1), []any{object{"a": 1, "b": 2}}, ""},
		"a part that is missing": {expect(agenttest.Has{"c": 1}, 1), []any{object{"a": 1}}, `has {"c":1}`},
		"what does not decode":   {expect(always, 1), []any{object{"n": "x"}}, "func(agenttest_test.big) bool"},
		"large integers":         {expect(big{n}, 1), []any{big{n - 1}}, "are not those"},
	} {
		t.Run(name, func(t *testing.T) {
			got := failures(func(t testing.TB) {
				sys := agenttest.Run(t, agenttest.Agents{"x": agenttest.Script{"y": tt.expect}})
				for _, in := range tt.calls {
					// a caller that ignores the error does not hide the call
					_, _ = agent.Ask[any](sys.Ctx(), "x.y", in)
				}
			})
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestUnexpectedCallIsAnError(t *testing.T) {
	var err error
	failures(func(t testing.TB) {
		sys := agenttest.Run(t, agenttest.Agents{"x": agenttest.Script{"y": agenttest.Expect(Place{"Bern"}, 1)}})
		_, err = agent.Ask[any](sys.Ctx(), "x.y", Place{"Basel"})
	})
	want := regexp.MustCompile(`^tool_failed: the test \(expect_test\.go:\d+\) does not expect this call of x\.y ` +
		`with \{"name":"Basel"\}$`)
	if err == nil || !want.MatchString(err.Error()) {
		t.Error(err)
	}
}

// Delays are virtual time inside testing/synctest.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := agenttest.Run(t, agenttest.Agents{"slow": agenttest.Script{
			"fine": agenttest.Delay(20*time.Second, "done"), "late": agenttest.Delay(time.Hour, "never")}})
		begun := time.Now()
		if got, err := agent.Ask[string](sys.Ctx(), "slow.fine", nil); err != nil || got != "done" {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := agent.Ask[string](sys.Ctx(), "slow.late", nil); !errors.Is(err, agent.CodeDeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(begun); took != 50*time.Second { // 20 s, and the deadline of 30 s
			t.Error(took)
		}
	})
}

// A crash ends all calls of the agent; the one after it is served again.
func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := agenttest.Run(t, agenttest.Agents{"x": agenttest.Script{"hang": agenttest.Hang(),
			"work": agenttest.Each(agenttest.Crash(), "done")}})
		hung := make(chan error)
		go func() {
			_, err := agent.Ask[string](sys.Ctx(), "x.hang", nil)
			hung <- err
		}()
		synctest.Wait()
		if _, err := agent.Ask[string](sys.Ctx(), "x.work", nil); !errors.Is(err, agent.CodeOutcomeUnknown) {
			t.Error(err)
		}
		if err := <-hung; !errors.Is(err, agent.CodeOutcomeUnknown) {
			t.Error(err)
		}
		if got, err := agent.Ask[string](sys.Ctx(), "x.work", nil); err != nil || got != "done" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// Writer asks the user and the model of whoever calls it.
type Writer struct{}

func (Writer) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("greet", "Greet the user.", func(ctx context.Context, _ struct{}) (string, error) {
			who, err := agent.Elicit[Place](ctx, "What is your name?")
			if err != nil {
				return "", err
			}
			said, err := agent.Sample(ctx, agent.SampleRequest{MaxTokens: 20,
				Messages: []agent.SampleMessage{agent.UserMessage(agent.Text("Greet " + who.Name))}})
			if err != nil {
				return "", err
			}
			return said.Content[0].Text, nil
		}),
	}}
}

func ExampleOnElicit() {
	TestWriter := func(t testing.TB) {
		sys := agenttest.Run(t, agenttest.Agents{"writer": Writer{}},
			agenttest.OnElicit(agenttest.Each(Place{"Ada"}, agent.ElicitResult{Action: agent.ElicitDecline})),
			agenttest.OnSample("Good day, Ada."))
		fmt.Println(agent.Ask[string](sys.Ctx(), "writer.greet", nil))
		fmt.Println(agent.Ask[string](sys.Ctx(), "writer.greet", nil))
	}
	run(TestWriter)
	// Output:
	// Good day, Ada. <nil>
	//  permission_denied: the user declined: What is your name?
}

// Shop has its users pay on a page of their bank.
type Shop struct{}

func (Shop) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("buy", "Buy a book.", func(ctx context.Context, _ struct{}) (string, error) {
			visit, err := agent.ElicitURL(ctx, "Pay for the book.", "https://bank.example/pay")
			if err != nil {
				return "", err
			}
			agent.ElicitComplete(ctx, visit) // when the bank has reported the money
			return "sold", nil
		}),
	}}
}

func ExampleOnElicitURL() {
	TestShop := func(t testing.TB) {
		sys := agenttest.Run(t, agenttest.Agents{"shop": Shop{}},
			agenttest.OnElicitURL(agenttest.Each(agent.ElicitAccept, agent.ElicitDecline)))
		fmt.Println(agent.Ask[string](sys.Ctx(), "shop.buy", nil))
		fmt.Println(agent.Ask[string](sys.Ctx(), "shop.buy", nil))
	}
	run(TestShop)
	// Output:
	// sold <nil>
	//  permission_denied: the user declined: Pay for the book.
}

func TestQuestions(t *testing.T) {
	sys := agenttest.Run(t, agenttest.Agents{"writer": Writer{}}, agenttest.OnElicit(map[string]string{"name": "Ann"}),
		agenttest.OnSample(agenttest.Func(func(_ context.Context, r agent.SampleRequest) (string, error) {
			return r.Messages[0].Content[0].Text + "!", nil
		})))
	if got, err := agent.Ask[string](sys.Ctx(), "writer.greet", nil); err != nil || got != "Greet Ann!" {
		t.Errorf("%q, %v", got, err)
	}
	sys = agenttest.Run(t, agenttest.Agents{"writer": Writer{}}, agenttest.OnElicit(agent.NotFound("a user")))
	if _, err := agent.Ask[string](sys.Ctx(), "writer.greet", nil); !errors.Is(err, agent.CodeNotFound) {
		t.Error(err)
	}
	sys = agenttest.Run(t, agenttest.Agents{"writer": Writer{}}, agenttest.OnElicit(Place{"Ada"}),
		agenttest.OnSample(1))
	if _, err := agent.Ask[string](sys.Ctx(), "writer.greet", nil); err == nil ||
		!strings.Contains(err.Error(), "answers with a int: want a string") {
		t.Error(err)
	}
}
