package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

func TestSessionInfo(t *testing.T) {
	everyWay(t, Target{Name: "fix"}, Options{}, func(t *testing.T, _ *fixture.Foreign, s *Session) {
		info := s.Info()
		if info.Name != "fix" || info.Description != "Tries things." || info.Version != "7" {
			t.Errorf("info %+v", info)
		}
		if echo, ok := info.Tool("echo"); !ok || !echo.Repeatable() || !json.Valid(echo.InputSchema) {
			t.Errorf("echo is %+v, %v", echo, ok)
		}
		if len(info.Tools) != 10 { // four pages
			t.Errorf("%d tools, want 10: %+v", len(info.Tools), info.Tools)
		}
		if len(info.Prompts) != 1 || info.Prompts[0].Arguments[0].Name != "who" {
			t.Errorf("prompts %+v", info.Prompts)
		}
		if len(info.Resources) != 2 || info.Resources[0].URI != "doc://one" ||
			info.Resources[1].Template != "doc://{name}" {
			t.Errorf("resources %+v", info.Resources)
		}
		if v := s.ProtocolVersion(); v != codec.Version20251125 {
			t.Errorf("protocol %s", v)
		}
	})
}

func TestSessionOperations(t *testing.T) {
	for _, protocol := range []string{"", codec.Version20260728} {
		t.Run(protocol, func(t *testing.T) { sessionOperations(t, protocol) })
	}
}

func sessionOperations(t *testing.T, protocol string) {
	everyWay(t, Target{Name: "fix", Protocol: protocol}, Options{}, func(t *testing.T, _ *fixture.Foreign, s *Session) {
		if s.stateless() != (protocol == codec.Version20260728 && s.target.Transport != mcp.SSE) {
			t.Errorf("protocol %s", s.ProtocolVersion())
		}
		ctx := t.Context()
		if got := mustCall(t, s, "echo", map[string]any{"n": 1}, nil); string(got.Structured) != `{"n":1}` {
			t.Errorf("echo gave %s", got.Structured)
		}
		_, err := call(ctx, s, "fail", nil, nil)
		if e := fixture.WantError(t, err, agent.CodeToolFailed, false); e.Message != "out of paper" {
			t.Errorf("message %q", e.Message)
		}
		_, err = call(ctx, s, "nonsense", nil, nil)
		fixture.WantError(t, err, agent.CodeNotFound, false)

		res, err := s.Call(ctx, &agent.Call{Op: agent.OpPrompt, Name: "greet", Input: json.RawMessage(`{"who":"Ada"}`)})
		if err != nil {
			t.Fatal(err)
		}
		if p, err := res.Prompt(); err != nil || p.Messages[0].Content.Text != "Hello Ada" {
			t.Errorf("prompt %s, %v", res.Structured, err)
		}
		_, err = s.Call(ctx, &agent.Call{Op: agent.OpPrompt, Name: "greet", Input: json.RawMessage(`{"who":1}`)})
		fixture.WantError(t, err, agent.CodeInvalidArgument, true)

		res, err = s.Call(ctx, &agent.Call{Op: agent.OpResource, Name: "doc://two"})
		if err != nil || res.Content[0].Resource.Text != "text of doc://two" {
			t.Errorf("resource %+v, %v", res, err)
		}
		_, err = s.Call(ctx, &agent.Call{Op: agent.OpResource, Name: "doc://missing"})
		fixture.WantError(t, err, agent.CodeNotFound, false)

		req, _ := json.Marshal(agent.CompleteRequest{Argument: "name", Value: "a",
			Others: map[string]string{"who": "b"}})
		for ref, want := range map[string]string{"greet": "ref/prompt:a!b", "doc://{name}": "ref/resource:a!b"} {
			res, err = s.Call(ctx, &agent.Call{Op: agent.OpComplete, Name: ref, Input: req})
			var c agent.Completion
			if err == nil {
				err = res.Decode(&c)
			}
			if err != nil || len(c.Values) != 1 || c.Values[0] != want || c.Total != 1 {
				t.Errorf("completion of %s: %+v, %v", ref, c, err)
			}
		}
		_, err = s.Call(ctx, &agent.Call{Op: agent.OpEvent, Name: "file.found", Input: json.RawMessage(`1`)})
		fixture.WantError(t, err, agent.CodeUnimplemented, true)
		_, err = s.Call(ctx, &agent.Call{Op: "dance"})
		fixture.WantError(t, err, agent.CodeUnimplemented, true)
		_, err = s.Call(ctx, &agent.Call{Op: agent.OpTool, Name: "echo", Input: json.RawMessage(`{`)})
		fixture.WantError(t, err, agent.CodeInvalidArgument, true)
	})
}

func TestSessionMeta(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		everyWay(t, Target{Trusted: trusted}, Options{}, func(t *testing.T, _ *fixture.Foreign, s *Session) {
			ctx, cancel := context.WithTimeout(t.Context(), fixture.Patience)
			defer cancel()
			res, err := s.Call(ctx, &agent.Call{ID: "id", Op: agent.OpTool, Name: "meta",
				From: agent.Identity{Agent: "me", User: "ann", Trusted: true}, Root: "id", Path: []string{"me"},
				Key:   "k",
				Depth: 2, Attempt: 3,
				Meta: map[string]string{"traceparent": "00-1-2-3", "authorization": "secret"},
				Back: agent.BackChannelFuncs{}})
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := res.Decode(&got); err != nil {
				t.Fatal(err)
			}
			if ms, ok := got[codec.MetaTimeout].(float64); ok != trusted || ok &&
				(ms <= 0 || ms > fixture.Patience.Seconds()*1000) {
				t.Errorf("timeout %v", got[codec.MetaTimeout])
			}
			if token, _ := got["progressToken"].(string); token == "" {
				t.Error("no progress token")
			}
			delete(got, codec.MetaTimeout)
			delete(got, "progressToken")
			want := map[string]any{"traceparent": "00-1-2-3"}
			if trusted {
				want = map[string]any{"traceparent": "00-1-2-3", codec.MetaID: "id", codec.MetaCaller: "me",
					codec.MetaUser: "ann", codec.MetaKey: "k",
					codec.MetaDepth: 2.0, codec.MetaAttempt: 3.0}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("meta %v, want %v", got, want)
			}
		})
	}
}

func TestSessionDeadlineAndCancel(t *testing.T) {
	everyWay(t, Target{}, Options{}, func(t *testing.T, f *fixture.Foreign, s *Session) {
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 1)
		go func() {
			_, err := call(ctx, s, "hang", nil, nil)
			errs <- err
		}()
		await(t, f.Began, "the tool")
		cancel()
		fixture.WantError(t, await(t, errs, "the call"), agent.CodeCanceled, false)
		await(t, f.Ended, "the cancellation at the server")

		testkit.Longer(t, "a deadline reaches the server", 50*time.Millisecond, func(d time.Duration) bool {
			ctx, cancel = context.WithTimeout(t.Context(), d)
			t.Cleanup(cancel)
			_, err := call(ctx, s, "hang", nil, nil)
			if agent.AsError(err).NotExecuted {
				return false
			}
			fixture.WantError(t, err, agent.CodeDeadlineExceeded, false)
			return true
		})
		await(t, f.Ended, "the cancellation at the server")

		_, err := call(ctx, s, "echo", nil, nil)
		fixture.WantError(t, err, agent.CodeDeadlineExceeded, true)
		mustCall(t, s, "echo", nil, nil)
	})
}

func TestSessionLimit(t *testing.T) {
	o := Options{MaxBody: 200 << 10, MaxFrame: 200 << 10}
	everyWay(t, Target{}, o, func(t *testing.T, _ *fixture.Foreign, s *Session) {
		limit := o.inputLimit(s.target.Transport)
		fits := json.RawMessage(`{"a":"` + strings.Repeat("x", limit-8) + `"}`)
		over := json.RawMessage(`{"a":"` + strings.Repeat("x", limit-7) + `"}`)
		// Escaped on the way, this is six times as large: the connection has to refuse it.
		grows := json.RawMessage(`{"a":"` + strings.Repeat("<", limit/2) + `"}`)
		for range 2 {
			_, err := call(t.Context(), s, "echo", over, nil)
			fixture.WantError(t, err, agent.CodeResourceExhausted, true)
			_, err = call(t.Context(), s, "echo", grows, nil)
			fixture.WantError(t, err, agent.CodeResourceExhausted, true)
		}
		if _, err := call(t.Context(), s, "hush", fits, nil); agent.CodeOf(err) != agent.CodeNotFound {
			t.Errorf("an input of %d bytes: %v", limit, err)
		}
	})
}

func TestSessionConcurrency(t *testing.T) {
	everyWay(t, Target{Trusted: true}, Options{}, func(t *testing.T, _ *fixture.Foreign, s *Session) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*fixture.Patience)
		defer cancel()
		var all sync.WaitGroup
		for i := range 500 {
			all.Go(func() {
				want := fmt.Sprintf(`{"i":%d}`, i)
				res, err := call(ctx, s, "echo", json.RawMessage(want), agent.BackChannelFuncs{})
				if err != nil || string(res.Structured) != want {
					t.Errorf("call %d: %v, %v", i, res, err)
				}
			})
		}
		all.Wait()
	})
}

func TestSessionClose(t *testing.T) {
	everyWay(t, Target{}, Options{}, func(t *testing.T, f *fixture.Foreign, s *Session) {
		errs := make(chan error, 10)
		for range cap(errs) {
			go func() {
				_, err := call(t.Context(), s, "hang", nil, nil)
				errs <- err
			}()
		}
		for range cap(errs) {
			await(t, f.Began, "the tools")
		}
		if s.Err() != nil {
			t.Errorf("an error before the end: %v", s.Err())
		}
		var closers sync.WaitGroup
		for range 3 {
			closers.Go(func() {
				if err := s.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		for range cap(errs) {
			fixture.WantError(t, await(t, errs, "the calls"), agent.CodeOutcomeUnknown, false)
		}
		closers.Wait()
		await(t, s.Done(), "Done")
		fixture.WantError(t, s.Err(), agent.CodeUnavailable, true)
		_, err := call(t.Context(), s, "echo", nil, nil)
		fixture.WantError(t, err, agent.CodeUnavailable, true)
	})
}

// What ended a session is the reason, also where its connection has ended as well by the time that
// somebody looks.
func TestTheEndHasOneReason(t *testing.T) {
	for range 50 {
		s := ways["stdio"](t, fixture.NewForeign(), Target{}, Options{})
		s.end(ErrSuspended)
		if err := s.link.conn.Close(); err != nil {
			t.Error(err)
		}
		await(t, s.Done(), "Done")
		if !errors.Is(s.Err(), ErrSuspended) {
			t.Fatal(s.Err())
		}
	}
}

func TestSessionListChanged(t *testing.T) {
	changed := make(chan agent.Info, 100)
	o := Options{OnChanged: func(i agent.Info) { changed <- i }}
	everyWay(t, Target{Name: "fix"}, o, func(t *testing.T, f *fixture.Foreign, s *Session) {
		mustCall(t, s, "grow", nil, nil)
		for {
			info := await(t, changed, "the change")
			if _, ok := info.Tool("grown4"); ok && len(info.Tools) == 15 {
				break
			}
		}
		if _, ok := s.Info().Tool("grown0"); !ok {
			t.Error("the session's info is the old one")
		}
		f.RemoveTools("grown0", "grown1", "grown2", "grown3", "grown4")
		for len(await(t, changed, "the change back").Tools) != 10 {
		}
	})
}
