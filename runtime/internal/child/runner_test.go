package child

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/internal/supervise"
	"github.com/openmas/openmas/runtime/internal/telemetry"
)

func TestMain(m *testing.M) {
	if os.Getenv(hangVar) != "" {
		time.Sleep(time.Hour)
	}
	if os.Getenv(leaveVar) != "" {
		leave()
		return
	}
	goleak.VerifyTestMain(m)
}

// slowParent is the directory of a parent that takes the end of a Runner only when it is reported
// for the third time.
type slowParent struct {
	mu      sync.Mutex
	reports []string // of the end
}

func (p *slowParent) Agents() []agent.Info { return []agent.Info{{Name: Runtime}} }

func (p *slowParent) Agent(name string) (agent.Info, bool) {
	return agent.Info{Name: name}, name == Runtime
}

func (p *slowParent) Call(_ context.Context, c *agent.Call) (*agent.Result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var st RunnerStatus
	if err := json.Unmarshal(c.Input, &st); err != nil {
		return nil, err
	}
	if st.State != supervise.Done && st.State != supervise.Failed {
		return &agent.Result{}, nil
	}
	if p.reports = append(p.reports, string(c.Input)); len(p.reports) < 3 {
		return nil, agent.Refusedf(agent.CodeUnavailable, "not now")
	}
	return &agent.Result{}, nil
}

type brief struct{ err error }

func (brief) Capabilities() agent.Capabilities { return agent.Capabilities{} }
func (b brief) Run(context.Context) error      { return b.err }

// The end of a Runner in a child is reported until the parent has taken it.
func TestTheEndOfARunnerIsReportedUntilItIsReceived(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"done": {nil, `{"instance":"a/0","state":"done"}`},
		"failed": {errors.New("hopeless"),
			`{"instance":"a/0","state":"failed","error":"a/0: gave up restarting after 3 restarts: hopeless",` +
				`"restarts":3}`},
	} {
		t.Run(name, func(t *testing.T) {
			p := &slowParent{}
			gw, err := server.NewGateway(p,
				server.GatewayOptions{Private: true, Options: server.Options{Logger: slog.New(slog.DiscardHandler),
					Identify: func(*http.Request) (server.Identity, error) {
						return server.Identity{Identity: agent.Identity{Agent: "a", Trusted: true}}, nil
					}}})
			if err != nil {
				t.Fatal(err)
			}
			srv := httptest.NewServer(gw)
			defer srv.Close()
			log := slog.New(slog.DiscardHandler)
			tel, err := telemetry.Setup(t.Context(), telemetry.Config{Logger: log})
			if err != nil {
				t.Fatal(err)
			}
			h := Hello{Agent: "a", Instance: "a/0", URL: srv.URL, Timeout: 10 * time.Second,
				Restart: supervise.Policy{Limit: 1, Window: time.Minute, Backoff: time.Millisecond, GiveUpAfter: 1}}
			r := runner{Hello: &h, log: log, tel: tel, dir: newDirectory(h, tel, nil, log), now: make(chan struct{})}
			r.start()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			r.supervise(ctx, brief{c.err}.Run)
			if want := []string{c.want, c.want, c.want}; !slices.Equal(p.reports, want) {
				t.Errorf("told %q\nwant %q", p.reports, want)
			}
			if err := errors.Join(r.dir.close(ctx), gw.Drain(ctx), tel.Shutdown(ctx)); err != nil {
				t.Error(err)
			}
		})
	}
}
