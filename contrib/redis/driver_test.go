package redis

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/openmas/openmas"
	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/communicator/communicatortest"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// hang is a generous bound on what must not take for ever.
const hang = 30 * time.Second

var address string

func TestMain(m *testing.M) { os.Exit(withServer(m.Run)) }

// withServer runs a real redis-server on a free port for the tests, which skip without one; under
// CI that is a failure.
func withServer(tests func() int) int {
	exe, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") == "true" {
			fmt.Fprintln(os.Stderr, "redis-server is not installed: apt-get install redis-server")
			return 1
		}
		return tests()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	dir, err := os.MkdirTemp("", "openmas-redis")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	server := exec.Command(exe, "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", dir)
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		panic(err)
	}
	defer func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}()
	address = fmt.Sprintf("127.0.0.1:%d", port)
	return tests()
}

func needServer(t *testing.T) {
	t.Helper()
	if address == "" {
		t.Skip("redis-server is not installed")
	}
}

func connect(t *testing.T) pubsub.Driver {
	t.Helper()
	needServer(t)
	d, err := Connect(context.Background(), runtime.DriverOptions{Options: map[string]any{"address": address},
		Wait: hang, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// The contract of every communicator holds over Redis.
func TestContract(t *testing.T) {
	needServer(t)
	communicatortest.Run(t, communicatortest.Config{
		New: func(t *testing.T) communicatortest.Setup {
			var ends [2]communicator.Communicator
			limit := 0
			for i := range ends {
				d := connect(t)
				limit = d.MaxPayload()
				c, err := pubsub.New(d, pubsub.Options{Project: "contract"})
				if err != nil {
					t.Fatal(err)
				}
				ends[i] = c
			}
			return communicatortest.Setup{Communicator: ends[0], Caller: ends[1], Limit: limit, ResultLimit: limit}
		},
		Lacks: communicatortest.Lacks{
			communicatortest.Connection: "the client has many connections, which come and go",
		},
	})
}

func TestConnectFails(t *testing.T) {
	for name, o := range map[string]runtime.DriverOptions{
		"an unknown key": {Options: map[string]any{"addr": "x"}},
		"nobody there":   {Options: map[string]any{"address": "127.0.0.1:1"}, Wait: -1},
	} {
		o.Logger = slog.New(slog.DiscardHandler)
		if d, err := Connect(t.Context(), o); err == nil {
			t.Errorf("%s: %v", name, d)
		} else {
			t.Log(err)
		}
	}
}

type word struct {
	Text string `json:"text"`
}

type echo struct{ heard chan string }

func (e *echo) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Tools: []agent.Tool{agent.NewTool("say", "Say it again.", func(_ context.Context, w word) (word, error) {
			return w, nil
		})},
		Subscriptions: []agent.Subscription{agent.On("word.said", func(_ context.Context, w word) error {
			e.heard <- w.Text
			return nil
		})},
	}
}

// Two runtimes share a project over Redis, as two processes would.
func TestProject(t *testing.T) {
	needServer(t)
	heard := make(chan string, 10)
	types := agent.Types{"echo": func() agent.Agent { return &echo{heard} }}
	var all []*runtime.Runtime
	for _, only := range []string{"one", "two"} {
		cfg := &project.Config{Project: "shared", Dir: t.TempDir(),
			Agents: map[string]project.Agent{"one": {Type: "echo"}, "two": {Type: "echo"}},
			Broker: project.Broker{Type: "redis", Options: map[string]any{"address": address}}}
		r, err := runtime.New(cfg, types,
			runtime.Options{Only: []string{only}, Drivers: map[string]runtime.NewDriver{"redis": Connect}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		select {
		case <-r.Ready():
		case err := <-done:
			t.Fatal(err)
		}
		all = append(all, r)
	}
	dir := all[0].Directory()
	ctx, cancel := context.WithTimeout(agent.WithEnv(t.Context(), agent.Env{Name: "test", Directory: dir}), hang)
	defer cancel()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		if _, ok := dir.Agent("two"); ok {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the processes do not find each other")
		}
	}
	out, err := agent.Ask[word](ctx, "two.say", word{"hi"})
	if err != nil || out.Text != "hi" {
		t.Errorf("%+v, %v", out, err)
	}
}

func Example() {
	types := agent.Types{"echo": func() agent.Agent { return &echo{} }}
	openmas.Main(types, openmas.WithDriver("redis", Connect))
}
