package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

func TestCancellationReachesTheTool(t *testing.T) {
	p, dir := fixture.NewProbe(), &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(p))
	s := newSite(t, dir, GatewayOptions{})
	for _, w := range everyClient() {
		t.Run(w.String(), func(t *testing.T) {
			cs := s.join(t, w, nil)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				_, err := cs.CallTool(ctx, &sdk.CallToolParams{Name: "echo_wait", Arguments: fixture.Word{Word: "w"}})
				done <- err
			}()
			fixture.Receive(t, "the call", p.Started)
			cancel()
			if err := fixture.Receive(t, "the tool's end", p.Cancelled); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if err := fixture.Receive(t, "the client's end", done); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if res := fixture.CallTool(t, cs, "echo_say", fixture.Word{Word: "next"}); res.IsError {
				t.Errorf("the next call: %s", fixture.MustJSON(t, res))
			}
		})
	}
}

func TestTheDeadlineOfAnyCallerIsKept(t *testing.T) {
	p, dir := fixture.NewProbe(), &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(p))
	s := newSite(t, dir, GatewayOptions{})
	for _, w := range []way{{mcp.Stdio, codec.Version20251125, "", ""}, {mcp.SSE, codec.Version20241105, "", ""},
		{mcp.Streamable, codec.Version20251125, "", ""}} {
		t.Run(w.String(), func(t *testing.T) {
			res, err := s.join(t, w, nil).CallTool(t.Context(),
				&sdk.CallToolParams{Meta: sdk.Meta{codec.MetaTimeout: 20}, Name: "echo_wait",
					Arguments: fixture.Word{}})
			if err != nil || !res.IsError || res.Meta[codec.MetaCode] != "deadline_exceeded" {
				t.Errorf("%s %v", fixture.MustJSON(t, res), err)
			}
			<-p.Started
			<-p.Cancelled
		})
	}
}

// TestCallsEndWithTheirClient is an SSE or stdio client that hangs up in the middle
// of a call.
func TestCallsEndWithTheirClient(t *testing.T) {
	p, dir := fixture.NewProbe(), &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(p))
	s := newSite(t, dir, GatewayOptions{})
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	// The SDK's SSE client lives as long as the context it was connected with.
	cs, err := sdk.NewClient(&sdk.Implementation{Name: "x", Version: "1"}, nil).Connect(ctx,
		&sdk.SSEClientTransport{Endpoint: s.url + "/sse", HTTPClient: &http.Client{Transport: base}},
		&sdk.ClientSessionOptions{ProtocolVersion: codec.Version20251125})
	if err != nil {
		t.Fatal(err)
	}
	other := s.join(t, way{transport: mcp.SSE, version: codec.Version20241105}, nil)
	done := make(chan error, 1)
	go func() {
		_, err := cs.CallTool(t.Context(), &sdk.CallToolParams{Name: "echo_wait", Arguments: fixture.Word{Word: "w"}})
		done <- err
	}()
	fixture.Receive(t, "the call", p.Started)
	hangUp()
	fixture.Receive(t, "the tool's end", p.Cancelled)
	if err := fixture.Receive(t, "the client's end", done); err == nil {
		t.Error("a call on a dead connection has succeeded")
	}
	testkit.Eventually(t, "the session is forgotten", func() bool {
		return len(s.Sessions()) == 1 && s.InFlight() == 0
	})
	if res := fixture.CallTool(t, other, "echo_say", fixture.Word{Word: "w"}); res.IsError {
		t.Errorf("another client: %s", fixture.MustJSON(t, res))
	}
	_ = cs.Close()
}

type whoAmI struct {
	From           agent.Identity
	ID, Key, Root  string
	Path           []string
	Depth, Attempt int
	Meta           map[string]string
	Left           int64
}

func who(t *testing.T, cs *sdk.ClientSession, tool string, meta sdk.Meta) (w whoAmI) {
	t.Helper()
	res, err := cs.CallTool(t.Context(), &sdk.CallToolParams{Meta: meta, Name: tool, Arguments: fixture.Word{}})
	if err != nil || res.IsError {
		t.Fatal(fixture.MustJSON(t, res), err)
	}
	if err := json.Unmarshal([]byte(fixture.TextOf(res)), &w); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestOnlyOurOwnAreTrusted(t *testing.T) {
	dir := &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	s := newSite(t, dir, GatewayOptions{Options: Options{Identify: tokens}})
	n := 0
	meta := func() sdk.Meta {
		n++ // calls with one key run once
		return sdk.Meta{codec.MetaID: "id-1", codec.MetaCaller: "editor", codec.MetaInstance: "editor/1",
			codec.MetaUser: "bob",
			codec.MetaRoot: "id-0", codec.MetaPath: "desk,editor", codec.MetaKey: fmt.Sprint("k", n),
			codec.MetaDepth:   4,
			codec.MetaAttempt: 2,
			codec.MetaTimeout: 60_000, "traceparent": "00-1-2-01"}
	}
	for _, tr := range []mcp.Transport{mcp.SSE, mcp.Streamable} {
		ours := who(t, s.join(t, way{tr, codec.Version20251125, "!runtime", ""}, nil), "echo_who", meta())
		if (ours.From != agent.Identity{Agent: "editor", Instance: "editor/1", User: "bob", Trusted: true}) ||
			ours.Root != "id-0" || !slices.Equal(ours.Path, []string{"desk", "editor"}) || ours.ID != "id-1" ||
			ours.Key != fmt.Sprint("k", n) || ours.Depth != 4 || ours.Attempt != 2 {
			t.Errorf("%s, trusted: %+v", tr, ours)
		}
		theirs := who(t, s.join(t, way{tr, codec.Version20251125, "ann", ""}, nil), "echo_who", meta())
		if (theirs.From != agent.Identity{User: "ann"}) || theirs.Root != theirs.ID || theirs.Path != nil ||
			theirs.ID == "id-1" || theirs.ID == "" || theirs.Key != fmt.Sprint("k", n) || theirs.Depth != 0 ||
			theirs.Attempt != 1 {
			t.Errorf("%s, not trusted: %+v", tr, theirs)
		}
		for _, w := range []whoAmI{ours, theirs} {
			if w.Left <= 0 || w.Left > 60_000 || w.Meta["traceparent"] != "00-1-2-01" || w.Meta["x-shift"] != "night" ||
				w.Meta["client.name"] != "tester 7" || w.Meta["client.id"] == "" {
				t.Errorf("%s: %+v", tr, w)
			}
			if w.Meta["authorization"] != "" {
				t.Error("a tool sees its caller's token")
			}
		}
		if bare := who(t, s.join(t, way{tr, codec.Version20251125, "!runtime", ""}, nil), "echo_who",
			nil); (bare.From != agent.Identity{Agent: "runtime", Trusted: true}) {
			t.Errorf("%s, trusted and silent: %+v", tr, bare)
		}
	}
	child := who(t, s.join(t, way{mcp.SSE, codec.Version20251125, "=child", ""}, nil), "echo_who", meta())
	if (child.From != agent.Identity{Agent: "child", User: "bob", Trusted: true}) || child.Root != "id-0" ||
		!slices.Equal(child.Path, []string{"desk", "editor"}) || child.Depth != 4 {
		t.Errorf("a child of ours: %+v", child)
	}
	program := who(t, s.join(t, way{mcp.SSE, codec.Version20251125, ".notes", ""}, nil), "echo_who", meta())
	if (program.From != agent.Identity{Agent: "notes"}) || program.Root != program.ID ||
		!slices.Equal(program.Path, []string{"notes"}) || program.Depth != 0 {
		t.Errorf("a program that is not ours: %+v", program)
	}
	relayed := meta()
	relayed[codec.MetaUntrusted] = true
	if w := who(t, s.join(t, way{mcp.SSE, codec.Version20251125, "!runtime", ""}, nil), "echo_who",
		relayed); w.From.Trusted ||
		w.From.Agent != "editor" {
		t.Errorf("a call that a runtime passes on: %+v", w)
	}
	if _, err := s.tryJoin(t, way{mcp.SSE, codec.Version20251125, "", ""}, nil); err == nil ||
		!strings.Contains(err.Error(), "Unauthorized") && !strings.Contains(err.Error(), "401") {
		t.Errorf("without a token: %v", err)
	}
	infos := s.Sessions()
	if len(infos) != 9 || infos[0].Client != "tester 7" || infos[0].Version != codec.Version20251125 ||
		infos[0].Identity != "runtime" {
		t.Errorf("%+v", infos)
	}
	anonymous := newSite(t, dir, GatewayOptions{})
	if w := who(t, anonymous.join(t, way{mcp.Stdio, codec.Version20251125, "", ""}, nil), "echo_who",
		meta()); (w.From != agent.Identity{User: agent.Anonymous}) ||
		w.Depth != 0 {
		t.Errorf("stdio: %+v", w)
	}
}

// The keys of a client count among its own calls: those of a user, or of one session that is
// anonymous.
func TestKeysOfClients(t *testing.T) {
	var runs atomic.Int64
	dir := &fixture.Crew{}
	dir.Add(t, "till", agent.Capabilities{Tools: []agent.Tool{agent.NewTool("charge", "",
		func(context.Context, map[string]any) (string, error) { return fmt.Sprint("run ", runs.Add(1)), nil })}})
	for _, fast := range []bool{true, false} {
		named := newSite(t, dir, GatewayOptions{Options: Options{Identify: tokens, NoFastPath: !fast}})
		open := newSite(t, dir, GatewayOptions{Options: Options{NoFastPath: !fast}})
		runs.Store(0)
		key := fmt.Sprint("key ", fast)
		join := func(s *site, tr mcp.Transport, version, token string) *sdk.ClientSession {
			return s.join(t, way{tr, version, token, ""}, nil)
		}
		ann := join(named, mcp.SSE, codec.Version20251125, "ann")
		other := join(open, mcp.Streamable, codec.Version20251125, "")
		for i, c := range []struct {
			cs   *sdk.ClientSession
			want string
		}{
			{ann, "run 1"}, {ann, "run 1"}, {join(named, mcp.Streamable, codec.Version20251125, "ann"), "run 1"},
			{join(named, mcp.SSE, codec.Version20251125, "bob"), "run 2"},
			{other, "run 3"}, {other, "run 3"}, {join(open, mcp.Streamable, codec.Version20251125, ""), "run 4"},
		} {
			res, err := c.cs.CallTool(t.Context(), &sdk.CallToolParams{Name: "till_charge", Arguments: map[string]any{},
				Meta: sdk.Meta{codec.MetaKey: key}})
			if err != nil || res.IsError || fixture.TextOf(res) != c.want {
				t.Errorf("fast path %v, call %d: %s, %v, want %s", fast, i, fixture.MustJSON(t, res), err, c.want)
			}
		}
	}
}

func TestEventsComeInAsAHiddenTool(t *testing.T) {
	p, dir := fixture.NewProbe(), &fixture.Crew{}
	echo := dir.Add(t, "echo", fixture.EchoCaps(p))
	event := &sdk.CallToolParams{Name: codec.EventTool, Arguments: codec.EventArgs{Topic: "word.said", ID: "e1",
		Source:  "other",
		Attempt: 1, Payload: json.RawMessage(`{"word":"psst"}`)}}
	serve := func(id Identity) *sdk.ClientSession {
		cs, err := fixture.ConnectSDK(t,
			fixture.SDKPipes(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
				return ServeStdio(ctx, echo, in, out, Options{NoFastPath: fixture.NoFastPath}, id)
			}), codec.Version20251125, nil)
		if err != nil {
			t.Fatal(err)
		}
		return cs
	}
	cs := serve(Identity{Identity: agent.Identity{Agent: "parent", Trusted: true}, Relays: true})
	if res, err := cs.CallTool(t.Context(), event); err != nil || res.IsError || len(res.Content) != 0 {
		t.Fatal(fixture.MustJSON(t, res), err)
	}
	if w := fixture.Receive(t, "the event", p.Events); w.Word != "psst" {
		t.Error(w)
	}
	tools, err := cs.ListTools(t.Context(), nil)
	if err != nil || strings.Contains(fixture.MustJSON(t, tools), codec.EventTool) ||
		!strings.Contains(fixture.MustJSON(t, tools), `"say"`) {
		t.Errorf("%s %v", fixture.MustJSON(t, tools), err)
	}
	if _, err := serve(Identity{Identity: agent.Identity{User: "other"}}).CallTool(t.Context(), event); err == nil ||
		!strings.Contains(err.Error(), "unknown tool") {
		t.Errorf("the event of another user: %v", err)
	}
}

func TestCallsBeyondTheLimitAreRefused(t *testing.T) {
	p, dir := fixture.NewProbe(), &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(p))
	for name, limits := range map[string]Limits{"session": {SessionCalls: 2}, "server": {Calls: 2}} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, dir, GatewayOptions{Options: Options{Limits: limits}})
			cs := s.join(t, way{transport: mcp.SSE, version: codec.Version20251125}, nil)
			done := make(chan error, 2)
			for range 2 {
				go func() {
					res, err := cs.CallTool(t.Context(),
						&sdk.CallToolParams{Name: "echo_wait", Arguments: fixture.Word{Word: "w"}})
					if err == nil && res.IsError {
						err = fmt.Errorf("%s", fixture.TextOf(res))
					}
					done <- err
				}()
				fixture.Receive(t, "a call", p.Started)
			}
			res := fixture.CallTool(t, cs, "echo_say", fixture.Word{Word: "w"})
			if !res.IsError || res.Meta[codec.MetaCode] != "resource_exhausted" ||
				res.Meta[codec.MetaNotExecuted] != true ||
				!strings.Contains(fixture.TextOf(res), name) {
				t.Errorf("%s", fixture.MustJSON(t, res))
			}
			for range 2 {
				p.Release <- struct{}{}
				if err := fixture.Receive(t, "an answer", done); err != nil {
					t.Error(err)
				}
			}
			for range 3 { // calls that have ended do not count
				testkit.Eventually(t, "no call runs", func() bool {
					return s.InFlight() == 0 && s.Sessions()[0].Calls == 0
				})
				if res := fixture.CallTool(t, cs, "echo_say", fixture.Word{Word: "w"}); res.IsError {
					t.Errorf("after the others: %s", fixture.TextOf(res))
				}
			}
		})
	}
}

// TestABackChannelEndsWithItsCall keeps a tool's context beyond the call.
func TestABackChannelEndsWithItsCall(t *testing.T) {
	kept := make(chan context.Context, 1)
	dir := &fixture.Crew{}
	dir.Add(t, "echo", agent.Capabilities{Tools: []agent.Tool{agent.NewTool("keep", "keeps",
		func(ctx context.Context, _ fixture.Word) (string, error) {
			kept <- context.WithoutCancel(ctx)
			return "ok", nil
		})}})
	s := newSite(t, dir, GatewayOptions{})
	cs := s.join(t, way{transport: mcp.SSE, version: codec.Version20251125}, &sdk.ClientOptions{
		ElicitationHandler: func(context.Context, *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
			t.Error("the client was asked after the call")
			return &sdk.ElicitResult{Action: "decline"}, nil
		}})
	fixture.CallTool(t, cs, "echo_keep", fixture.Word{})
	ctx, cancel := context.WithTimeout(<-kept, fixture.Patience)
	defer cancel()
	testkit.Eventually(t, "the call is over", func() bool { return s.InFlight() == 0 })
	if _, err := agent.Elicit[fixture.Word](ctx, "still there?"); agent.CodeOf(err) != agent.CodeUnavailable {
		t.Error(err)
	}
	agent.Progress(ctx, 1, 1, "late")
}

func TestAQuestionEndsWithTheCall(t *testing.T) {
	dir := &fixture.Crew{}
	asked := make(chan error, 1)
	dir.Add(t, "echo", agent.Capabilities{Tools: []agent.Tool{agent.NewTool("ask", "asks",
		func(ctx context.Context, _ fixture.Word) (string, error) {
			_, err := agent.Elicit[fixture.Word](ctx, "?")
			asked <- err
			return "", err
		})}})
	s := newSite(t, dir, GatewayOptions{})
	for _, tr := range []mcp.Transport{mcp.Stdio, mcp.SSE, mcp.Streamable} {
		begun, stop := make(chan struct{}), make(chan struct{})
		cs := s.join(t, way{transport: tr, version: codec.Version20251125},
			&sdk.ClientOptions{ElicitationHandler: func(ctx context.Context, _ *sdk.ElicitRequest) (*sdk.ElicitResult,
				error) {
				close(begun)
				select {
				case <-ctx.Done():
				case <-stop:
				}
				return &sdk.ElicitResult{Action: "cancel"}, nil
			}})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := cs.CallTool(ctx, &sdk.CallToolParams{Name: "echo_ask", Arguments: fixture.Word{}})
			ended <- err
		}()
		fixture.Receive(t, "the question", begun)
		cancel()
		if err := fixture.Receive(t, "the end of the call", ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", tr, err)
		}
		if err := fixture.Receive(t, "the tool's answer", asked); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", tr, err)
		}
		close(stop)
	}
}

// A client that is slow to take its notices gets as many as the call keeps for it, and the call
// waits until they are sent.
func TestEnoughNoticesForASlowClientAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep := &endpoint{o: Options{Logger: fixture.Quiet}}
		reads, got := make(chan struct{}), 0
		b := newBackChannel(t.Context(), nil, newSession(t.Context(), ep, mcp.Streamable, Identity{}, nil),
			&request{meta: codec.CallMeta{Progress: "x"}, round: &round{send: func(context.Context, []byte) error {
				<-reads
				got++
				return nil
			}}})
		send := func() { b.Notify(t.Context(), agent.Notice{Progress: &agent.ProgressNotice{}}) }
		send()
		synctest.Wait() // it is on its way
		for range 10 * noticeQueue {
			send()
		}
		close(reads)
		b.close()
		if got != 1+noticeQueue {
			t.Errorf("it got %d notices, want %d", got, 1+noticeQueue)
		}
	})
}
