package pubsub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
)

func TestCallCarriesEverything(t *testing.T) {
	drivers(t, func(t *testing.T, d Driver) {
		got := make(chan agent.Call, 1)
		left := make(chan time.Duration, 1)
		_, p := pair(t, d, Options{}, func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			deadline, _ := ctx.Deadline()
			left <- time.Until(deadline)
			got <- *c
			return &agent.Result{Structured: json.RawMessage(`{"a":1}`),
				Content: []agent.Content{agent.Text("a"), agent.Image([]byte{1}, "image/png")}}, nil
		})
		want := agent.Call{ID: "id 1", Op: agent.OpTool, Agent: "callee", Name: "do",
			Input: json.RawMessage(`{"x":"y"}`), From: agent.Identity{Agent: "someone", Instance: "someone/1",
				User: "Ann", Trusted: true},
			Root: "id 0", Path: []string{"desk", "someone"}, Key: "k\n%", Depth: 3,
			Attempt: 2, Meta: map[string]string{"traceparent": "00-x", "x-header": "v", "empty": ""}, State: "state",
			Inputs: map[string]json.RawMessage{"q": json.RawMessage("1")}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		sent := want
		res, err := p.Call(ctx, &sent)
		if err != nil || len(res.Content) != 2 || string(res.Structured) != `{"a":1}` || res.Content[1].Data[0] != 1 {
			t.Fatal(res, err)
		}
		if g := <-got; !reflect.DeepEqual(g, want) {
			t.Fatalf("got  %+v\nwant %+v", g, want)
		}
		if l := <-left; l <= 0 || l > time.Minute {
			t.Fatal(l)
		}
		if i := p.Info(); i.Name != "callee" || i.Description != "a test" {
			t.Fatalf("%+v", i)
		}
	})
}

func TestErrorsCross(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	var fail error
	_, p := pair(t, d, Options{}, func(context.Context, *agent.Call) (*agent.Result, error) { return nil, fail })
	for _, code := range agent.Codes() {
		fail = &agent.Error{Code: code, Message: "m", RetryAfter: 2 * time.Second, Details: json.RawMessage(`{"d":1}`),
			NotExecuted: code == agent.CodeUnavailable}
		_, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x"})
		var e *agent.Error
		if !errors.As(err, &e) || !reflect.DeepEqual(e, fail) {
			t.Errorf("%+v, want %+v", e, fail)
		}
	}
	fail = &agent.Error{Code: agent.CodeToolFailed, Message: "m", Details: json.RawMessage(`{broken`)}
	if _, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool}); agent.CodeOf(err) != agent.CodeToolFailed {
		t.Error(err)
	}
	fail = errors.New("plain")
	if _, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool}); agent.CodeOf(err) != agent.CodeInternal {
		t.Error(err)
	}
}

func TestPanicsAndBadResults(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	answers := map[string]func() *agent.Result{
		"panic":   func() *agent.Result { panic("at the disco") },
		"invalid": func() *agent.Result { return &agent.Result{Structured: json.RawMessage(`{`)} },
		"nothing": func() *agent.Result { return nil },
	}
	_, p := pair(t, d, Options{}, func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		return answers[c.Name](), nil
	})
	for name, code := range map[string]agent.Code{"panic": agent.CodeInternal, "invalid": agent.CodeInternal,
		"nothing": ""} {
		res, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: name})
		if agent.CodeOf(err) != code || (err == nil) != (res != nil) {
			t.Errorf("%s: %v %v", name, res, err)
		}
	}
}

func TestNoSubscriber(t *testing.T) {
	drivers(t, func(t *testing.T, d Driver) {
		server, client := process(t, d, Options{}), process(t, d, Options{})
		if _, err := client.Dial(context.Background(), "callee"); err == nil {
			t.Fatal("dialled nobody")
		} else if code, not := refusal(err); code != agent.CodeUnavailable || !not {
			t.Fatal(err)
		}
		b := serve(t, server, service{"callee", func(context.Context, *agent.Call) (*agent.Result, error) {
			return nil, nil
		}})
		if _, err := server.Serve(t.Context(), service{"callee", nil}); agent.CodeOf(err) != agent.CodeInvalidArgument {
			t.Fatal(err)
		}
		p := dial(t, client, "callee")
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := p.Call(context.Background(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x"})
		if code, not := refusal(err); code != agent.CodeUnavailable || !not {
			t.Fatal(err)
		}
		// It comes back: the session works again.
		serve(t, server, service{"callee", func(context.Context, *agent.Call) (*agent.Result, error) {
			return agent.TextResult("back"), nil
		}})
		if res, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x"}); err != nil ||
			res.Text() != "back" {
			t.Fatal(res, err)
		}
	})
}

func TestCancelAndDeadlineReachTheTool(t *testing.T) {
	drivers(t, func(t *testing.T, d Driver) {
		began, ended := make(chan struct{}, 100), make(chan error, 1)
		_, p := pair(t, d, Options{}, func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			began <- struct{}{}
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		})
		call := &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x"}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-began; cancel() }()
		if _, err := p.Call(ctx, call); agent.CodeOf(err) != agent.CodeCanceled || !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := testkit.Receive(t, ended); err != context.Canceled {
			t.Fatal(err)
		}
		testkit.Longer(t, "a deadline reaches the tool", 20*time.Millisecond, func(d time.Duration) bool {
			ctx, cancel = context.WithTimeout(t.Context(), d)
			t.Cleanup(cancel)
			if _, err := p.Call(ctx, call); agent.CodeOf(err) != agent.CodeDeadlineExceeded {
				t.Fatal(err)
			}
			select {
			case <-ended:
				return true
			case <-time.After(d): // the tool was not reached
				return false
			}
		})
		<-ctx.Done() // the tool may have been the first to notice
		if _, err := p.Call(ctx, call); !agent.AsError(err).NotExecuted ||
			agent.CodeOf(err) != agent.CodeDeadlineExceeded {
			t.Fatal(err)
		}
	})
}

func TestSessionClosedInFlight(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	began, ended := make(chan struct{}), make(chan struct{})
	_, p := pair(t, d, Options{}, func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	})
	failed := make(chan error)
	go func() {
		_, err := p.Call(context.Background(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x"})
		failed <- err
	}()
	<-began
	for range 2 {
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := testkit.Receive(t, failed); agent.CodeOf(err) != agent.CodeOutcomeUnknown {
		t.Fatal(err)
	}
	testkit.Receive(t, ended)
	_, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x"})
	if code, not := refusal(err); code != agent.CodeUnavailable || !not {
		t.Fatal(err)
	}
}

// An answer that is there when the session is closed counts: it is not by chance which of the two
// the caller sees.
func TestSessionClosedWithAnAnswer(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	server, client := process(t, d, Options{}), process(t, d, Options{})
	serve(t, server, service{"callee", func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		c.Back.Notify(ctx, agent.Notice{Progress: &agent.ProgressNotice{Progress: 1}})
		return agent.TextResult("done"), nil
	}})
	for range 20 {
		p := dial(t, client, "callee").(*peer)
		closed := make(chan error, 1)
		back := agent.BackChannelFuncs{OnProgress: func(agent.ProgressNotice) { // both come meanwhile
			testkit.Eventually(t, "the answer is there", func() bool {
				p.pending.mu.Lock()
				defer p.pending.mu.Unlock()
				return len(p.pending.waiting) == 0
			})
			go func() { closed <- p.Close(context.Background()) }()
			<-p.done
		}}
		res, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x", Back: back})
		if err != nil || res.Text() != "done" {
			t.Errorf("%v, %v", res, err)
		}
		if err := testkit.Receive(t, closed); err != nil {
			t.Error(err)
		}
	}
}

func TestBackChannel(t *testing.T) {
	drivers(t, func(t *testing.T, d Driver) {
		_, p := pair(t, d, Options{}, func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			if c.Back == nil {
				return agent.TextResult("nobody"), nil
			}
			for i := range 10 {
				c.Back.Notify(ctx, agent.Notice{Progress: &agent.ProgressNotice{Progress: float64(i)}})
			}
			c.Back.Notify(ctx, agent.Notice{Log: &agent.LogNotice{Level: slog.LevelWarn,
				Data: json.RawMessage(`"hm"`)}})
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(func() {
					raw, err := c.Back.Request(ctx,
						agent.Request{Kind: agent.AskElicit, Params: json.RawMessage(`{"message":"ok?"}`)})
					if err != nil || string(raw) != `{"action":"accept","content":{"message":"ok?"}}` {
						t.Errorf("%s %v", raw, err)
					}
				})
			}
			wg.Wait()
			_, err := c.Back.Request(ctx, agent.Request{Kind: agent.AskSample})
			return nil, err
		})
		var progress []float64
		logs := 0
		back := agent.BackChannelFuncs{
			OnProgress: func(n agent.ProgressNotice) { progress = append(progress, n.Progress) },
			OnLog:      func(agent.LogNotice) { logs++ },
			Elicit: func(_ context.Context, r agent.ElicitRequest) (agent.ElicitResult, error) {
				return agent.ElicitResult{Action: "accept",
					Content: json.RawMessage(`{"message":"` + r.Message + `"}`)}, nil
			},
		}
		_, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x", Back: back})
		if agent.CodeOf(err) != agent.CodeUnavailable || agent.AsError(err).NotExecuted {
			t.Fatal(err)
		}
		if fmt.Sprint(progress) != "[0 1 2 3 4 5 6 7 8 9]" || logs != 1 {
			t.Fatal(progress, logs)
		}
		if res, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x"}); err != nil ||
			res.Text() != "nobody" {
			t.Fatal(res, err)
		}
	})
}

// A question ends with the call, on both sides.
func TestQuestionOutlivesNoCall(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	asked, answered := make(chan struct{}), make(chan error, 1)
	told := make(chan error, 1)
	_, p := pair(t, d, Options{}, func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		_, err := c.Back.Request(ctx, agent.Request{Kind: agent.AskRoots})
		told <- err
		return nil, err
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	_, err := p.Call(ctx, &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x",
		Back: agent.BackChannelFuncs{Roots: func(ctx context.Context) ([]agent.Root, error) {
			close(asked)
			<-ctx.Done()
			answered <- ctx.Err()
			return nil, ctx.Err()
		}}})
	if agent.CodeOf(err) != agent.CodeCanceled {
		t.Fatal(err)
	}
	testkit.Receive(t, answered)
	if err := testkit.Receive(t, told); agent.CodeOf(err) != agent.CodeCanceled {
		t.Fatal(err)
	}
}

func TestPayloadLimits(t *testing.T) {
	d := NewMemory(MemoryOptions{MaxPayload: 2000})
	defer d.Close()
	var ran atomic.Int32
	_, p := pair(t, d, Options{MaxPayload: 1000}, func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		ran.Add(1)
		switch c.Name {
		case "result":
			return &agent.Result{Structured: json.RawMessage(`"` + strings.Repeat("x", 1000) + `"`)}, nil
		case "error":
			return nil, agent.Errorf(agent.CodeToolFailed, "%s", strings.Repeat("x", 2000))
		}
		return &agent.Result{Structured: c.Input}, nil
	})
	call := func(name string, size int) (*agent.Result, error) {
		return p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: name,
			Input: json.RawMessage(`"` + strings.Repeat("x", size-2) + `"`)})
	}
	if res, err := call("echo", 1000); err != nil || len(res.Structured) != 1000 {
		t.Fatal(err)
	}
	_, err := call("echo", 1001)
	if code, not := refusal(err); code != agent.CodeResourceExhausted || !not || ran.Load() != 1 {
		t.Fatal(err)
	}
	_, err = call("result", 10)
	if code, not := refusal(err); code != agent.CodeResourceExhausted || not {
		t.Fatal(err)
	}
	if _, err = call("error", 10); agent.CodeOf(err) != agent.CodeToolFailed || len(err.Error()) > 1100 {
		t.Fatal(err)
	}
}
