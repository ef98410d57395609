package mcp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
)

// crew is a small system: a directory of agents in this process.
type crew struct {
	mu    sync.Mutex
	hosts map[string]*agent.Host
}

func (c *crew) add(t testing.TB, name string, caps agent.Capabilities) *agent.Host {
	t.Helper()
	h, err := agent.NewHost(agent.Env{Name: name, Directory: c, Logger: slog.New(slog.DiscardHandler)}, caps)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hosts == nil {
		c.hosts = map[string]*agent.Host{}
	}
	c.hosts[name] = h
	return h
}

func (c *crew) remove(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.hosts, name)
}

func (c *crew) Call(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	c.mu.Lock()
	h := c.hosts[call.Agent]
	c.mu.Unlock()
	if h == nil {
		return nil, agent.Refusedf(agent.CodeNotFound, "no agent %q", call.Agent)
	}
	return h.Call(ctx, call)
}

func (c *crew) Agents() []agent.Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []agent.Info
	for _, h := range c.hosts {
		out = append(out, h.Info())
	}
	slices.SortFunc(out, func(a, b agent.Info) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func (c *crew) Agent(name string) (agent.Info, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.hosts[name]; h != nil {
		return h.Info(), true
	}
	return agent.Info{}, false
}

type word struct {
	Word string `json:"word"`
}

// probe is what the fixture's tools tell a test about.
type probe struct {
	started   chan string // a call of wait began: its word
	cancelled chan error  // it ended, since its context did
	release   chan struct{}
	events    chan word
}

func newProbe() *probe {
	return &probe{started: make(chan string, 1000), cancelled: make(chan error, 1000), release: make(chan struct{}),
		events: make(chan word, 10)}
}

// echoCaps is an agent that shows every power an agent has.
func echoCaps(p *probe) agent.Capabilities {
	tool := func(name string, fn func(context.Context, word) (any, error), o ...agent.ToolOption) agent.Tool {
		return agent.NewTool(name, "does "+name, fn, o...)
	}
	return agent.Capabilities{
		Description: "Says things back.",
		Tools: []agent.Tool{
			tool("say", func(_ context.Context, w word) (any, error) {
				return map[string]any{"echoed": w.Word}, nil
			}, agent.ReadOnly(), agent.Title("Say it")),
			tool("plain", func(_ context.Context, w word) (any, error) { return w.Word, nil }),
			tool("blocks", func(context.Context, word) (any, error) {
				return []agent.Content{agent.Text("t"), agent.Image([]byte{1}, "image/png"),
					agent.Audio([]byte{2}, "audio/wav"), agent.Link("echo://one", "one"),
					agent.Embed(agent.ResourceContents{URI: "echo://one", Text: "1"})}, nil
			}),
			tool("fail", func(_ context.Context, w word) (any, error) { return nil, errors.New(w.Word) }),
			tool("busy", func(context.Context, word) (any, error) {
				return nil, &agent.Error{Code: agent.CodeUnavailable, Message: "later", RetryAfter: 3 * time.Second,
					Details: json.RawMessage(`{"queue":7}`)}
			}),
			tool("panic", func(_ context.Context, w word) (any, error) { panic(w.Word) }),
			tool("wait", func(ctx context.Context, w word) (any, error) {
				p.started <- w.Word
				select {
				case <-ctx.Done():
					p.cancelled <- ctx.Err()
					return nil, ctx.Err()
				case <-p.release:
					return w.Word, nil
				}
			}),
			tool("who", func(ctx context.Context, _ word) (any, error) {
				c := agent.CallFrom(ctx)
				at, ok := ctx.Deadline()
				left := time.Duration(0)
				if ok {
					left = time.Until(at)
				}
				return map[string]any{"caller": c.From.String(), "id": c.ID, "key": c.Key, "depth": c.Depth,
					"attempt": c.Attempt, "meta": c.Meta, "left": left.Milliseconds()}, nil
			}),
			tool("report", func(ctx context.Context, w word) (any, error) {
				for i := range 3 {
					agent.Progress(ctx, float64(i+1), 3, w.Word)
				}
				agent.Log(ctx, slog.LevelWarn, map[string]any{"word": w.Word})
				agent.Log(ctx, slog.LevelDebug, "not wanted")
				return "done", nil
			}),
			tool("elicit", func(ctx context.Context, w word) (any, error) { return agent.Elicit[word](ctx, w.Word) }),
			tool("sample", func(ctx context.Context, w word) (any, error) {
				r, err := agent.Sample(ctx,
					agent.SampleRequest{MaxTokens: 5, Messages: []agent.Message{agent.UserText(w.Word)}})
				return map[string]any{"text": r.Content.Text, "model": r.Model}, err
			}),
			tool("roots", func(ctx context.Context, _ word) (any, error) {
				r, err := agent.Roots(ctx)
				return map[string]any{"roots": r}, err
			}),
			agent.RawTool("pending", "wants input", nil,
				agent.CallerFunc(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
					if c.Inputs == nil {
						return &agent.Result{Pending: &agent.Pending{State: "s1",
							Requests: map[string]agent.Request{"q": {Kind: agent.AskElicit,
								Params: json.RawMessage(`{"message":"which word?","requestedSchema":{"type":"object","properties":{"word":{"type":"string"}}}}`)}}}}, nil
					}
					return agent.TextResult(c.State + " " + string(c.Inputs["q"])), nil
				})),
			tool("ask", func(ctx context.Context, w word) (any, error) {
				return agent.Ask[map[string]any](ctx, "other.say", w)
			}),
		},
		Prompts: []agent.Prompt{agent.NewPrompt("greet", "greets", func(_ context.Context, in struct {
			Name string `json:"name"`
			Tone string `json:"tone,omitempty"`
		}) (*agent.PromptResult, error) {
			return &agent.PromptResult{Description: "d", Messages: []agent.Message{agent.UserText("hello " + in.Name)}},
				nil
		}, agent.Completes("name", func(_ context.Context, prefix string, others map[string]string) ([]string, error) {
			return []string{prefix + "da" + others["tone"], prefix + "lice"}, nil
		}))},
		Resources: []agent.Resource{
			agent.NewResource("echo://one", "one", "a fixed one", "text/plain", func(context.Context) (string, error) {
				return "1", nil
			}),
			agent.NewResourceFunc("echo://n/{n}", "n", "one of many", "text/plain",
				func(_ context.Context, uri string, v map[string]string) ([]agent.ResourceContents, error) {
					if v["n"] == "0" {
						return nil, agent.NotFound(uri)
					}
					return []agent.ResourceContents{{Text: v["n"]}}, nil
				}, agent.CompletesVariable("n", func(_ context.Context, prefix string, _ map[string]string) ([]string,
					error) {
					return []string{prefix + "1"}, nil
				})),
		},
		Subscriptions: []agent.Subscription{agent.On("word.said", func(_ context.Context, w word) error {
			p.events <- w
			return nil
		})},
	}
}

// otherCaps is the second agent: it is called by the first.
func otherCaps() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{agent.NewTool("say", "says it too",
		func(ctx context.Context, w word) (any, error) {
			return map[string]any{"other": w.Word, "caller": agent.CallFrom(ctx).From.Agent,
				"depth": agent.CallFrom(ctx).Depth}, nil
		})}}
}

// tokens is an Identify hook: Bearer NAME is that user, Bearer !NAME one of our own.
func tokens(r *http.Request) (Identity, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return Identity{}, agent.Errorf(agent.CodeUnauthenticated, "no token")
	}
	name, trusted := strings.CutPrefix(token, "!")
	return Identity{Name: name, Trusted: trusted}, nil
}

// bearer adds a token to every request.
type bearer struct {
	token string
	base  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if b.token != "" {
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	r.Header.Set("X-Shift", "night")
	return b.base.RoundTrip(r)
}

// site is a gateway on a real socket.
type site struct {
	*Gateway
	url string
	log *syncBuffer
}

func newSite(t *testing.T, dir agent.Directory, o GatewayOptions) *site {
	t.Helper()
	log := &syncBuffer{}
	o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.NoExpress = o.NoExpress || noExpress
	g, err := NewGateway(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(g)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.Drain(ctx); err != nil {
			t.Errorf("drain: %v", err)
		}
		srv.Close()
	})
	return &site{g, srv.URL, log}
}

// syncBuffer is a log that a test may read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// way is how a client of the official SDK connects.
type way struct {
	transport Transport
	version   string
	token     string
	path      string // before /sse and /mcp
}

func (w way) String() string { return string(w.transport) + " " + w.version }

// join connects a client of the official SDK. It is closed with the test.
func (s *site) join(t *testing.T, w way, o *sdk.ClientOptions) *sdk.ClientSession {
	t.Helper()
	cs, err := s.tryJoin(t, w, o)
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

func (s *site) tryJoin(t *testing.T, w way, o *sdk.ClientOptions) (*sdk.ClientSession, error) {
	t.Helper()
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	hc := &http.Client{Transport: bearer{w.token, base}}
	var tr sdk.Transport
	switch w.transport {
	case SSE:
		tr = &sdk.SSEClientTransport{Endpoint: s.url + w.path + "/sse", HTTPClient: hc}
	case Streamable:
		tr = &sdk.StreamableClientTransport{Endpoint: s.url + w.path + "/mcp", HTTPClient: hc, MaxRetries: -1}
	default:
		tr = sdkPipes(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
			return s.ServeStdio(ctx, in, out)
		})
	}
	return connectSDK(t, tr, w.version, o)
}

func connectSDK(t *testing.T, tr sdk.Transport, version string, o *sdk.ClientOptions) (*sdk.ClientSession, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var so *sdk.ClientSessionOptions
	if version != "" {
		so = &sdk.ClientSessionOptions{ProtocolVersion: version}
	}
	cs, err := sdk.NewClient(&sdk.Implementation{Name: "tester", Version: "7"}, o).Connect(ctx, tr, so)
	if err != nil {
		cancel()
		return nil, err
	}
	t.Cleanup(func() {
		_ = cs.Close()
		cancel()
	})
	return cs, nil
}

// sdkPipes runs serve on a pair of pipes until the client hangs up.
func sdkPipes(t *testing.T, serve func(context.Context, io.Reader, io.Writer) error) *sdk.IOTransport {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := serve(context.Background(), inR, outW)
		_ = inR.Close()
		_ = outW.Close()
		ended <- err
	}()
	t.Cleanup(func() {
		_ = inW.Close()
		if err := <-ended; err != nil {
			t.Errorf("stdio: %v", err)
		}
	})
	return &sdk.IOTransport{Reader: outR, Writer: inW}
}

// everyClient is each transport in its oldest and newest era, and as an unpinned client finds it.
func everyClient() []way {
	return []way{{Stdio, era2024, "", ""}, {Stdio, eraLast, "", ""}, {Stdio, "", "", ""}, {SSE, era2024, "", ""},
		{SSE, eraLast, "", ""}, {SSE, "", "", ""},
		{Streamable, eraMarch, "", ""}, {Streamable, eraLast, "", ""}, {Streamable, "", "", ""}}
}

func callTool(t *testing.T, cs *sdk.ClientSession, name string, args any) *sdk.CallToolResult {
	t.Helper()
	res, err := cs.CallTool(t.Context(), &sdk.CallToolParams{Name: name, Arguments: args})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return res
}

func textOf(res *sdk.CallToolResult) string {
	return (&agent.Result{Content: fromContent(res.Content)}).Text()
}

func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: nothing came", what)
		panic("unreachable")
	}
}
