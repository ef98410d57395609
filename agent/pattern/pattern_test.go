package pattern_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
	"github.com/openmas/openmas/agent/pattern"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type number struct {
	N int `json:"n"`
}

func answer(fn func(context.Context, number) (int, error)) agenttest.Answer {
	return agenttest.Func(fn)
}

func after(d time.Duration, v int) agenttest.Answer {
	return answer(func(ctx context.Context, n number) (int, error) {
		select {
		case <-time.After(d):
			return n.N + v, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	})
}

type state struct {
	In, Doubled, Squared, Sum int
}

func sequence() pattern.Step[state, state] {
	in := func(s *state) any { return number{s.In} }
	return pattern.Sequence(
		pattern.Together(
			pattern.Ask("math.double", in, func(s *state, n int) { s.Doubled = n }),
			pattern.Ask("math.square", in, func(s *state, n int) { s.Squared = n }),
		),
		pattern.Stage[state]{Name: "sum", Do: func(_ context.Context, s *state) error {
			s.Sum = s.Doubled + s.Squared
			return nil
		}},
	)
}

// Stages see what the earlier ones found out, and those that run at once do run at once.
func TestSequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := agenttest.Run(t, agenttest.Agents{"math": agenttest.Script{
			"double": after(time.Second, 5), "square": after(time.Second, 20)}})
		began := time.Now()
		out, err := sequence()(sys.Ctx(), state{In: 5})
		if err != nil || out.Sum != 10+25 || time.Since(began) != time.Second {
			t.Errorf("%+v, %v, after %v", out, err, time.Since(began))
		}
	})
}

// The error says in which stage it arose and keeps its code; later stages do not run.
func TestSequenceEndsWithTheFirstError(t *testing.T) {
	ran := false
	sys := agenttest.Run(t, agenttest.Agents{"math": agenttest.Script{
		"double": agent.NotFound("that number"), "square": agenttest.Hang()}})
	seq := pattern.Sequence(
		pattern.Together(
			pattern.Ask("math.double", func(*state) any { return nil }, func(*state, int) {}),
			pattern.Ask("math.square", func(*state) any { return nil }, func(*state, int) {}),
		),
		pattern.Stage[state]{Name: "later", Do: func(context.Context, *state) error { ran = true; return nil }},
	)
	_, err := seq(sys.Ctx(), state{})
	if agent.CodeOf(err) != agent.CodeNotFound || !strings.HasPrefix(err.Error(), "math.double: ") || ran {
		t.Error(err, ran)
	}
}

// A pattern is a tool, and tells its caller how far it has come, its parts' own progress included.
func TestAPatternIsATool(t *testing.T) {
	slow := agent.NewTool("slow", "Counts.", func(ctx context.Context, n number) (number, error) {
		agent.Progress(ctx, 1, 4, "a quarter")
		agent.Progress(ctx, 2, 4, "a half")
		return number{n.N + 1}, nil
	})
	ask := pattern.Call[number, number]("worker.slow")
	sys := agenttest.Run(t, agenttest.Agents{
		"worker": agenttest.Script{"slow": slow},
		"boss": agenttest.Script{
			"twice":  agent.NewTool("twice", "Counts twice.", pattern.Then(ask, ask)),
			"nested": agent.NewTool("nested", "Counts twice.", pattern.Then(pattern.Then(ask, ask), ask)),
		},
	})
	for tool, want := range map[string][]float64{
		"boss.twice":  {0.25, 0.5, 1, 1.25, 1.5},
		"boss.nested": {0.125, 0.25, 0.5, 0.625, 0.75, 1, 1.25, 1.5},
	} {
		var said []float64
		out, err := agent.Ask[number](sys.Ctx(), tool, number{1}, agent.OnProgress(func(p agent.ProgressNotice) {
			said = append(said, p.Progress)
			if p.Total != 2 {
				t.Error(p)
			}
		}))
		if err != nil || out.N < 3 || !slices.Equal(said, want) {
			t.Errorf("%s: %v, %v, %v", tool, out, err, said)
		}
	}
}

// A Step is an agent.Caller.
func TestAStepIsACaller(t *testing.T) {
	var double agent.Caller = pattern.Step[number, number](func(_ context.Context, n number) (number, error) {
		if n.N < 0 {
			return n, agent.NotFound("it")
		}
		return number{2 * n.N}, nil
	})
	res, err := double.Call(t.Context(), &agent.Call{Input: json.RawMessage(`{"n": 4}`)})
	if err != nil || string(res.Structured) != `{"n":8}` {
		t.Error(res, err)
	}
	_, err = double.Call(t.Context(), &agent.Call{Input: json.RawMessage(`{"n": "four"}`)})
	if e := agent.AsError(err); e.Code != agent.CodeInvalidArgument || !e.NotExecuted {
		t.Error(err)
	}
	if _, err = double.Call(t.Context(), &agent.Call{Input: json.RawMessage(`{"n": -1}`)}); agent.CodeOf(err) !=
		agent.CodeNotFound {
		t.Error(err)
	}
}

// All items are done, as many at a time as may be, and the order is kept.
func TestMap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		double := pattern.Step[int, int](func(_ context.Context, n int) (int, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			time.Sleep(time.Duration(20-n) * time.Second)
			return 2 * n, nil
		})
		var in []int
		for n := range 20 {
			in = append(in, n)
		}
		for limit, want := range map[int]int64{1: 1, 7: 7, 0: 20, 100: 20} {
			most.Store(0)
			out, err := pattern.Map(limit, double)(t.Context(), in)
			if err != nil || len(out) != 20 || !slices.IsSorted(out) || out[19] != 38 || most.Load() != want {
				t.Errorf("limit %d: %v, %v, %d at once", limit, out, err, most.Load())
			}
		}
		if out, err := pattern.Map(3, double)(t.Context(), nil); err != nil || len(out) != 0 {
			t.Error(out, err)
		}
	})
}

// The first error ends the others and is the one that is told; Try collects all.
func TestTheFirstErrorEndsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cut atomic.Int64
		s := pattern.Step[int, int](func(ctx context.Context, n int) (int, error) {
			if n == 3 {
				time.Sleep(time.Second)
				return 0, agent.NotFound("three")
			}
			if n == 4 {
				panic("four")
			}
			select {
			case <-time.After(time.Duration(n) * time.Minute):
				return n, nil
			case <-ctx.Done():
				cut.Add(1)
				return 0, context.Cause(ctx)
			}
		})
		began := time.Now()
		_, err := pattern.Map(0, s)(t.Context(), []int{1, 3, 5})
		if agent.CodeOf(err) != agent.CodeNotFound || !strings.HasPrefix(err.Error(), "item 1: ") || cut.Load() != 2 ||
			time.Since(began) != time.Second {
			t.Error(err, cut.Load(), time.Since(began))
		}
		all, err := pattern.Parallel(pattern.Try(s), pattern.Try(s))(t.Context(), 3)
		if err != nil || len(all) != 2 || all[1].Err.Code != agent.CodeNotFound {
			t.Error(all, err)
		}
		mixed, err := pattern.Map(0, pattern.Try(s))(t.Context(), []int{1, 3, 5})
		if err != nil || mixed[0].Out != 1 || mixed[0].Err != nil || mixed[1].Err == nil || mixed[2].Out != 5 {
			t.Error(mixed, err)
		}
		_, err = pattern.Map(0, s)(t.Context(), []int{4})
		var trace interface{ Stack() string }
		if agent.CodeOf(err) != agent.CodeInternal || !strings.Contains(err.Error(), "a step panicked: four") ||
			!errors.As(err, &trace) || !strings.Contains(trace.Stack(), "pattern_test.go") {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := pattern.Map(2, s)(ctx, []int{1, 2, 5}); agent.CodeOf(err) != agent.CodeCanceled {
			t.Error(err)
		}
	})
}

func TestLoop(t *testing.T) {
	rounds := 0
	half := pattern.Step[int, int](func(_ context.Context, n int) (int, error) {
		rounds++
		if n == 13 {
			return 0, agent.NotFound("luck")
		}
		return n / 2, nil
	})
	for _, tt := range []struct {
		in, most, out, rounds int
		code                  agent.Code
	}{
		{in: 3, most: 5, out: 3},
		{in: 64, most: 5, out: 4, rounds: 4},
		{in: 64, most: 4, out: 4, rounds: 4},
		{in: 64, most: 3, out: 8, rounds: 3, code: agent.CodeResourceExhausted},
		{in: 26, most: 3, out: 13, rounds: 2, code: agent.CodeNotFound},
	} {
		rounds = 0
		out, err := pattern.Loop(tt.most, func(n int) bool { return n < 5 }, half)(t.Context(), tt.in)
		if out != tt.out || rounds != tt.rounds || agent.CodeOf(err) != tt.code {
			t.Errorf("%+v: %d after %d rounds, %v", tt, out, rounds, err)
		}
	}
}

func TestRouter(t *testing.T) {
	say := func(word string) pattern.Step[int, string] {
		return func(_ context.Context, n int) (string, error) {
			if n == 0 {
				return "", agent.NotFound("zero")
			}
			return fmt.Sprint(word, n), nil
		}
	}
	r := pattern.Router(func(_ context.Context, n int) (string, error) {
		switch {
		case n > 100:
			return "huge", nil
		case n > 10:
			return "large", nil
		}
		return "small", nil
	}, map[string]pattern.Step[int, string]{"small": say("s"), "large": say("l")})
	for in, want := range map[int]string{1: "s1", 11: "l11"} {
		if got, err := r(t.Context(), in); err != nil || got != want {
			t.Error(got, err)
		}
	}
	if _, err := r(t.Context(), 101); agent.CodeOf(err) != agent.CodeInternal ||
		!strings.Contains(err.Error(), `no route "huge": there are large, small`) {
		t.Error(err)
	}
	if _, err := r(t.Context(), 0); agent.CodeOf(err) != agent.CodeNotFound ||
		!strings.HasPrefix(err.Error(), "small: ") {
		t.Error(err)
	}
}

// A ledger notes what was done, and how often.
type ledger struct {
	mu   sync.Mutex
	done map[int][]string
}

func (l *ledger) add(n int, who string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done == nil {
		l.done = map[int][]string{}
	}
	l.done[n] = append(l.done[n], who)
}

// Workers take tasks as fast as they are, those that fail take none any more, and each task is done
// once.
func TestOrchestrator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l ledger
		worker := func(name string, pace time.Duration, lives int64) agenttest.Script {
			return agenttest.Script{"work": agent.NewTool("work", "", func(_ context.Context, n number) (int, error) {
				time.Sleep(pace)
				if lives--; lives < 0 {
					return 0, agent.Errorf(agent.CodeOutcomeUnknown, "gone")
				}
				l.add(n.N, name)
				return n.N * n.N, nil
			}, agent.Idempotent())}
		}
		sys := agenttest.Run(t, agenttest.Agents{
			"fast": worker("fast", time.Second, 100), "slow": worker("slow", 5*time.Second, 100),
			"dying": worker("dying", time.Second, 3), "other": agenttest.Script{"rest": "no"},
			"hidden": worker("hidden", 0, 100),
		})
		o := pattern.Orchestrator[int, number, int, []int]{
			Tool: "work",
			Only: func(a agent.Info) bool { return a.Name != "hidden" },
			Split: func(_ context.Context, in int) (out []number, _ error) {
				for n := range in {
					out = append(out, number{n})
				}
				return out, nil
			},
			Join: func(_ context.Context, _ int, parts []int) ([]int, error) { return parts, nil },
		}
		out, err := o.Step()(sys.Ctx(), 30)
		if err != nil || len(out) != 30 || out[29] != 29*29 || !slices.IsSorted(out) {
			t.Error(out, err)
		}
		count := map[string]int{}
		for n, who := range l.done {
			if len(who) != 1 {
				t.Errorf("task %d was done by %v", n, who)
			}
			count[who[0]]++
		}
		if len(l.done) != 30 || count["dying"] != 3 || count["fast"] < 3*count["slow"] || count["hidden"] > 0 {
			t.Error(count)
		}
		if out, err := o.Step()(sys.Ctx(), 0); err != nil || len(out) != 0 {
			t.Error(out, err)
		}
	})
}

func TestOrchestratorWithoutWorkers(t *testing.T) {
	o := pattern.Orchestrator[int, number, int, int]{Tool: "work",
		Split: func(context.Context, int) ([]number, error) { return make([]number, 5), nil },
		Join:  func(context.Context, int, []int) (int, error) { return 0, errors.New("nothing to join") }}
	gone := agent.NewTool("work", "", func(context.Context, number) (int, error) {
		return 0, agent.Errorf(agent.CodeUnavailable, "gone")
	}, agent.Idempotent())
	for name, tt := range map[string]struct {
		agents agenttest.Agents
		code   agent.Code
		text   string
	}{
		"nobody has the tool": {agenttest.Agents{"x": agenttest.Script{"rest": 1}}, agent.CodeUnavailable, "work"},
		"all are gone": {agenttest.Agents{"a": agenttest.Script{"work": gone}, "b": agenttest.Script{"work": gone}},
			agent.CodeUnavailable,
			"5 tasks are left and no worker"},
		"it may have been done": {agenttest.Agents{"a": agenttest.Script{
			"work": agent.Errorf(agent.CodeOutcomeUnknown, "no answer")}}, agent.CodeOutcomeUnknown, "task 0: "},
		"the task is wrong": {agenttest.Agents{"a": agenttest.Script{"work": agent.NotFound("that")}},
			agent.CodeNotFound, "task 0: "},
	} {
		sys := agenttest.Run(t, tt.agents)
		_, err := o.Step()(sys.Ctx(), 1)
		if agent.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := o.Step()(t.Context(), 1); agent.CodeOf(err) != agent.CodeInternal {
		t.Error(err)
	}
}
