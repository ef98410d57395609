package runtime_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// freezing is a server elsewhere that can be frozen: it takes requests and answers none.
type freezing struct {
	*httptest.Server
	mu     sync.Mutex
	frozen chan struct{} // nil: it is not; closed when it thaws
	held   atomic.Int64  // requests that it took and did not answer
}

func freezingServer(t *testing.T) *freezing {
	t.Helper()
	f := &freezing{}
	h := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return foreign() }, nil)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		frozen := f.frozen
		f.mu.Unlock()
		if frozen != nil {
			f.held.Add(1)
			select {
			case <-frozen:
			case <-r.Context().Done():
				return
			}
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	t.Cleanup(f.thaw)
	return f
}

func (f *freezing) freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen = make(chan struct{})
}

func (f *freezing) thaw() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.frozen != nil {
		close(f.frozen)
		f.frozen = nil
	}
}

// A server elsewhere that freezes is shown as suspect, and the system as not ready; the session is
// given up, and made anew when the server is back.
func TestAServerThatFreezes(t *testing.T) {
	t.Parallel()
	f := freezingServer(t)
	cfg := &project.Config{Agents: map[string]project.Agent{"docs": {URL: f.URL + "/mcp", Ping: 200 * time.Millisecond},
		"calm": {URL: f.URL + "/mcp", Ping: project.Off}},
		Reconnect: project.Reconnect{Initial: 100e6, Max: 200e6}, Connect: project.Connect{Timeout: time.Second}}
	s := start(t, cfg, nil)
	search := func() error {
		_, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"})
		return err
	}
	if err := search(); err != nil {
		t.Fatal(err)
	}
	f.freeze()
	testkit.Eventually(t, "it is suspect", func() bool { return s.agentStatus("docs").State == runtime.StateSuspect })
	if got := s.agentStatus("docs").Instances[0]; !strings.Contains(got.Error, "does not answer pings") {
		t.Errorf("%+v", got)
	}
	ready := httptest.NewRecorder()
	s.Handler().ServeHTTP(ready, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	if ready.Code != http.StatusServiceUnavailable || !strings.Contains(ready.Body.String(), "docs does not answer") {
		t.Error(ready.Code, ready.Body)
	}
	testkit.Eventually(t, "it is given up", func() bool {
		return s.agentStatus("docs").State == runtime.StateRestarting
	})
	if got := s.agentStatus("calm").State; got != runtime.StateReady {
		t.Errorf("the one that is not pinged is %s", got)
	}
	f.thaw()
	testkit.Eventually(t, "it is back", func() bool { return search() == nil })
	if got := s.agentStatus("docs").State; got != runtime.StateReady {
		t.Errorf("it is %s although it serves", got)
	}
}

// One that freezes while it is called is suspect after the first call that runs into its deadline,
// long before it is pinged anyway, and well again when it has thawed.
func TestACalledServerThatFreezes(t *testing.T) {
	t.Parallel()
	f := freezingServer(t)
	cfg := &project.Config{Agents: map[string]project.Agent{"docs": {URL: f.URL + "/mcp", Ping: time.Hour,
		Policy: project.Policy{Timeout: 300 * time.Millisecond}}}}
	s := start(t, cfg, nil)
	f.freeze()
	testkit.Eventually(t, "a call comes there before its deadline", func() bool {
		if _, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"}); agent.CodeOf(err) !=
			agent.CodeDeadlineExceeded {
			t.Error(err)
		}
		return f.held.Load() > 0
	})
	testkit.Eventually(t, "it is suspect", func() bool { return s.agentStatus("docs").State == runtime.StateSuspect })
	f.thaw()
	testkit.Eventually(t, "it is ready", func() bool { return s.agentStatus("docs").State == runtime.StateReady })
}
