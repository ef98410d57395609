package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
)

// answers is a back-channel that answers everything in the name of who.
func answers(who string) agent.BackChannelFuncs {
	return agent.BackChannelFuncs{
		Elicit: func(_ context.Context, r agent.ElicitRequest) (agent.ElicitResult, error) {
			if r.Message == "lie" {
				return agent.ElicitResult{Action: agent.ElicitAccept, Content: json.RawMessage(`{"name": 7}`)}, nil
			}
			return agent.ElicitResult{Action: agent.ElicitAccept,
				Content: json.RawMessage(fmt.Sprintf(`{"name": "%s: %s"}`, who, r.Message))}, nil
		},
		Sample: func(_ context.Context, r agent.SampleRequest) (agent.SampleResult, error) {
			if r.Messages[0].Content.Text() == "panic" {
				panic("as asked")
			}
			return agent.SampleResult{Role: agent.RoleAssistant, Model: who,
				Content: agent.Blocks{agent.Text(r.Messages[0].Content.Text() + "!")}}, nil
		},
		Roots: func(context.Context) ([]agent.Root, error) {
			return []agent.Root{{URI: "file:///a"}, {URI: "file:///b"}}, nil
		},
	}
}

type question struct {
	Kind string `json:"kind"`
	Say  string `json:"say"`
}

func TestBackChannelQuestions(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		everyWay(t, Target{Trusted: trusted}, Options{}, func(t *testing.T, _ *fixture.Foreign, s *Session) {
			for q, want := range map[question]string{
				{agent.AskElicit, "name?"}: "accept me: name?",
				{agent.AskSample, "hey"}:   "me: hey!",
				{agent.AskRoots, ""}:       "2 roots",
			} {
				if got := mustCall(t, s, "ask", q, answers("me")).Text(); got != want {
					t.Errorf("%+v gave %q, want %q", q, got, want)
				}
				_, err := call(t.Context(), s, "ask", q, nil) // nobody to ask
				if err == nil || !strings.Contains(err.Error(), "unavailable") {
					t.Errorf("%+v of nobody: %v", q, err)
				}
				_, err = call(t.Context(), s, "ask", q, agent.BackChannelFuncs{}) // somebody who does not answer
				if err == nil || !strings.Contains(err.Error(), "does not answer") {
					t.Errorf("%+v of a mute: %v", q, err)
				}
			}
			_, err := call(t.Context(), s, "ask", question{agent.AskSample, "panic"}, answers("me"))
			if err == nil || !strings.Contains(err.Error(), "panicked") {
				t.Errorf("a panic gave %v", err)
			}
			_, err = call(t.Context(), s, "ask", question{agent.AskElicit, "lie"}, answers("me"))
			if err == nil || !strings.Contains(err.Error(), "does not match") {
				t.Errorf("an answer that does not fit gave %v", err)
			}
		})
	}
}

func TestBackChannelOfTheOwner(t *testing.T) {
	o := Options{Back: answers("owner")}
	everyWay(t, Target{}, o, func(t *testing.T, _ *fixture.Foreign, s *Session) {
		if got := mustCall(t, s, "ask", question{agent.AskSample, "hey"}, nil).Text(); got != "owner: hey!" {
			t.Errorf("got %q", got)
		}
		if got := mustCall(t, s, "ask", question{agent.AskSample, "hey"}, answers("me")).Text(); got != "me: hey!" {
			t.Errorf("got %q", got)
		}
	})
}

// TestBackChannelRouting asks from many calls at once: on a trusted session each question reaches
// its own caller.
func TestBackChannelRouting(t *testing.T) {
	everyWay(t, Target{Trusted: true}, Options{}, func(t *testing.T, _ *fixture.Foreign, s *Session) {
		var all sync.WaitGroup
		for i := range 30 {
			all.Go(func() {
				who := fmt.Sprint("caller", i)
				in, _ := json.Marshal(question{agent.AskSample, "hey"})
				ctx, cancel := context.WithTimeout(t.Context(), fixture.Patience)
				defer cancel()
				res, err := s.Call(ctx, &agent.Call{ID: who, Op: agent.OpTool, Name: "ask", Input: in,
					Back: answers(who)})
				if err != nil || res.Text() != who+": hey!" {
					t.Errorf("%s got %v, %v", who, res, err)
				}
			})
		}
		all.Wait()
	})
}

// TestBackChannelAmbiguous: a foreign server does not name which of two calls its question is
// about, so neither is asked.
func TestBackChannelAmbiguous(t *testing.T) {
	everyWay(t, Target{}, Options{}, func(t *testing.T, f *fixture.Foreign, s *Session) {
		ctx, cancel := context.WithCancel(t.Context())
		hung := make(chan error, 1)
		go func() {
			_, err := call(ctx, s, "hang", nil, answers("one"))
			hung <- err
		}()
		await(t, f.Began, "the first call")
		_, err := call(t.Context(), s, "ask", question{agent.AskSample, "hey"}, answers("two"))
		if err == nil || !strings.Contains(err.Error(), "2 calls are in flight") {
			t.Errorf("got %v", err)
		}
		cancel()
		fixture.WantError(t, await(t, hung, "the first call"), agent.CodeCanceled, false)
	})
}

// record keeps notices.
type record struct {
	mu       sync.Mutex
	progress []float64
	logs     []string
}

func (r *record) handlers() agent.BackChannelFuncs {
	return agent.BackChannelFuncs{
		OnProgress: func(p agent.ProgressNotice) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.progress = append(r.progress, p.Progress)
		},
		OnLog: func(l agent.LogNotice) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.logs = append(r.logs, fmt.Sprint(l.Level, " ", l.Logger, " ", string(l.Data)))
		},
	}
}

// TestBackChannelNotices: all that was sent before the answer is received before the call returns,
// in order.
func TestBackChannelNotices(t *testing.T) {
	everyWay(t, Target{Trusted: true}, Options{}, func(t *testing.T, _ *fixture.Foreign, s *Session) {
		for range 20 {
			var r record
			mustCall(t, s, "tell", map[string]int{"progress": 10, "log": 2}, r.handlers())
			if len(r.progress) != 10 || !slices.IsSorted(r.progress) {
				t.Fatalf("progress %v", r.progress)
			}
			if fmt.Sprint(r.logs) != "[WARN fixture 0 WARN fixture 1]" {
				t.Fatalf("logs %v", r.logs)
			}
		}
	})
}

// TestBackChannelFlood: a caller that takes nothing loses notices, delays its own call until its
// deadline, and nobody else's.
func TestBackChannelFlood(t *testing.T) {
	everyWay(t, Target{Trusted: true}, Options{}, func(t *testing.T, _ *fixture.Foreign, s *Session) {
		free := make(chan struct{})
		taken := make(chan struct{}, 1)
		ctx, cancel := context.WithCancel(t.Context())
		slow := make(chan error, 1)
		go func() {
			_, err := call(ctx, s, "tell", map[string]int{"log": 5000},
				agent.BackChannelFuncs{OnLog: func(agent.LogNotice) {
					select {
					case taken <- struct{}{}:
					default:
					}
					<-free
				}})
			slow <- err
		}()
		await(t, taken, "the first notice")
		for range 50 {
			mustCall(t, s, "echo", nil, nil)
		}
		cancel()
		if err := await(t, slow, "the slow call"); err != nil && !errors.Is(err, agent.CodeCanceled) {
			t.Error(err)
		}
		close(free)
	})
}
