package runtime_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// TestDrainLosesNothing stops the system while calls over HTTP are in flight, each of which has yet
// to make a call of its own, and expects every answer.
func TestDrainLosesNothing(t *testing.T) {
	t.Parallel()
	const calls = 200
	for _, path := range []string{"/mcp", "/sse"} {
		for _, over := range overs {
			t.Run(path[1:]+" to "+over, func(t *testing.T) {
				t.Parallel()
				cfg := pair(over)
				cfg.Gateway = &project.Gateway{Listen: "127.0.0.1:0"}
				cfg.Defaults.MaxInFlight = calls
				cfg.Defaults.Timeout, cfg.Drain.Timeout = testkit.Hang, testkit.Hang
				cfg.MCP.HeaderTimeout = testkit.Hang // clients open more connections than they use at once
				s := start(t, cfg, nil)
				session := connect(t, s.Status().URL+path)
				release := filepath.Join(t.TempDir(), "go on")
				errs := make(chan error, calls)
				for range calls {
					go func() {
						res, err := session.CallTool(context.Background(),
							&sdk.CallToolParams{Name: "far_wait-nested", Arguments: map[string]any{"text": release}})
						if err == nil && res.IsError {
							err = errors.New(res.Content[0].(*sdk.TextContent).Text)
						}
						errs <- err
					}()
				}
				testkit.Eventually(t, "all calls are in flight", func() bool {
					select {
					case err := <-errs:
						t.Fatalf("a call has ended early: %v", err)
					default:
					}
					n := 0
					for _, i := range s.agentStatus("far").Instances {
						n += i.InFlight
					}
					return n == calls
				})
				s.stop()
				testkit.Eventually(t, "the system drains", func() bool { return s.Status().State == "draining" })
				if err := os.WriteFile(release, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				lost := 0
				for range calls {
					if err := <-errs; err != nil {
						lost++
						t.Log(err)
					}
				}
				if lost > 0 {
					t.Errorf("%d of %d calls lost", lost, calls)
				}
				if err := s.wait(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// Calls that take longer than the drain are cut, and each is answered: those that ran with
// outcome_unknown, those that waited for their turn with unavailable.
func TestCallsLongerThanTheDrain(t *testing.T) {
	t.Parallel()
	const calls, running = 50, 20
	for _, path := range []string{"/mcp", "/sse"} {
		for _, over := range overs {
			t.Run(path[1:]+" to "+over, func(t *testing.T) {
				t.Parallel()
				cfg := pair(over)
				cfg.Gateway = &project.Gateway{Listen: "127.0.0.1:0"}
				// A fifth of it is for the answers.
				cfg.Defaults.MaxInFlight, cfg.Drain.Timeout = running, 20*time.Second
				cfg.MCP.HeaderTimeout = testkit.Hang
				s := start(t, cfg, nil)
				session := connect(t, s.Status().URL+path)
				texts := make(chan string, calls)
				for range calls {
					go func() {
						res, err := session.CallTool(context.Background(), &sdk.CallToolParams{Name: "far_wait-nested",
							Arguments: map[string]any{"text": filepath.Join(t.TempDir(), "never")}})
						if err != nil {
							texts <- err.Error()
							return
						}
						texts <- res.Content[0].(*sdk.TextContent).Text
					}()
				}
				testkit.Eventually(t, "all calls run or wait", func() bool {
					now := s.agentStatus("far")
					return now.Instances[0].InFlight+now.Waiting >= calls && now.Waiting == calls-running
				})
				s.stop()
				counts := map[string]int{}
				for range calls {
					text := <-texts
					code, rest, _ := strings.Cut(text, ": ")
					counts[code]++
					if !strings.Contains(rest, "the system was stopped") {
						t.Errorf("a call was told %q", text)
					}
				}
				want := running
				if over == project.OverPubSub {
					want = calls // nobody but the callee knows which of them run
				}
				if counts["outcome_unknown"] != want || counts["unavailable"] != calls-want {
					t.Errorf("%v", counts)
				}
				if err := s.wait(); err == nil || !strings.Contains(err.Error(), "50 calls were cut") {
					t.Error(err)
				}
			})
		}
	}
}

func TestReadinessReportsADrain(t *testing.T) {
	t.Parallel()
	cfg := pair(project.OverLocal)
	cfg.Gateway = &project.Gateway{Listen: "127.0.0.1:0"}
	s := start(t, cfg, nil)
	url := s.Status().URL
	if code := get(t, url+"/readyz"); code != http.StatusOK {
		t.Errorf("/readyz before: %d", code)
	}
	session := connect(t, url+"/mcp")
	called, end := make(chan error, 1), filepath.Join(t.TempDir(), "end")
	go func() {
		_, err := session.CallTool(context.Background(),
			&sdk.CallToolParams{Name: "far_wait", Arguments: map[string]any{"text": end}})
		called <- err
	}()
	testkit.Eventually(t, "the call is in flight", func() bool {
		return s.agentStatus("far").Instances[0].InFlight == 1
	})
	s.stop()
	testkit.Eventually(t, "/readyz says no", func() bool {
		return get(t, url+"/readyz") == http.StatusServiceUnavailable
	})
	if err := os.WriteFile(end, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-called; err != nil {
		t.Error(err)
	}
}

func connect(t *testing.T, url string) *sdk.ClientSession {
	t.Helper()
	var tr sdk.Transport = &sdk.StreamableClientTransport{Endpoint: url, HTTPClient: httpClient(t)}
	if len(url) > 4 && url[len(url)-4:] == "/sse" {
		tr = &sdk.SSEClientTransport{Endpoint: url, HTTPClient: httpClient(t)}
	}
	c := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil)
	session, err := c.Connect(context.Background(), tr, &sdk.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

func httpClient(t *testing.T) *http.Client {
	tr := &http.Transport{MaxIdleConnsPerHost: 256}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func get(t *testing.T, url string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := httpClient(t).Do(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// slowToEnd is an agent whose Run takes a moment to wind up, and that notes when it was closed.
type slowToEnd struct {
	d       *diary
	running chan struct{}
}

func (s *slowToEnd) Capabilities() agent.Capabilities { return agent.Capabilities{} }

func (s *slowToEnd) Run(ctx context.Context) error {
	close(s.running)
	<-ctx.Done()
	wound := time.NewTimer(100 * time.Millisecond)
	<-wound.C
	s.d.write("run has ended")
	return nil
}

func (s *slowToEnd) Close(context.Context) error { s.d.write("closed"); return nil }

func TestAgentsAreClosedAfterTheirRun(t *testing.T) {
	a := &slowToEnd{d: &diary{}, running: make(chan struct{})}
	types := agent.Types{"slow": func() agent.Agent { return a }}
	s := start(t, &project.Config{Agents: map[string]project.Agent{"a": {Type: "slow"}}}, types)
	<-a.running
	s.stop()
	if err := s.wait(); err != nil {
		t.Error(err)
	}
	if got := a.d.read(); got != "run has ended; closed" {
		t.Error(got)
	}
}

// A child that dies while the system drains is not started again, and the status reports it at
// once.
func TestAChildThatDiesInADrainIsStopped(t *testing.T) {
	t.Parallel()
	cfg := pair(project.OverStdio)
	cfg.Gateway = &project.Gateway{Listen: "127.0.0.1:0"}
	s := start(t, cfg, nil)
	session, release := connect(t, s.Status().URL+"/mcp"), filepath.Join(t.TempDir(), "go on")
	held := make(chan error, 1)
	go func() {
		_, err := session.CallTool(context.Background(),
			&sdk.CallToolParams{Name: "near_wait-nested", Arguments: map[string]any{"text": release}})
		held <- err
	}()
	testkit.Eventually(t, "a call is in flight", func() bool {
		return s.agentStatus("near").Instances[0].InFlight == 1
	})
	s.stop()
	testkit.Eventually(t, "the system drains", func() bool { return s.Status().State == "draining" })
	if _, err := agent.Ask[string](s.ctx, "far.exit", nil); err == nil {
		t.Error("far should have ended")
	}
	testkit.Eventually(t, "far is stopped", func() bool {
		i := s.agentStatus("far").Instances[0]
		return i.State == runtime.StateStopped && i.PID == 0 && i.Error != ""
	})
	if err := os.WriteFile(release, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-held; err != nil {
		t.Error(err)
	}
}
