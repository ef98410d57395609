package ops

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/server"
)

// folder gives the test a runtime folder of its own. Its path is short: sockets have little room.
func folder(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the folder is the profile's")
	}
	dir, err := os.MkdirTemp("/tmp", "ops")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	return dir
}

func projectFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "openmas.yaml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func projectOf(t *testing.T, path string) Project {
	t.Helper()
	p, err := ProjectOf(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A project is the same by each way to its file, and another than that of any other file.
func TestProjectOf(t *testing.T) {
	path := projectFile(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(path), link); err != nil {
		t.Skip(err)
	}
	t.Chdir(filepath.Dir(path))
	want := projectOf(t, path)
	for _, same := range []string{"openmas.yaml", "./openmas.yaml", filepath.Join(link, "openmas.yaml")} {
		if got := projectOf(t, same); got != want {
			t.Errorf("%s: %s, want %s", same, got, want)
		}
	}
	if other := projectOf(t, projectFile(t)); other == want {
		t.Error("two files are one project")
	}
	if _, err := ProjectOf("missing.yaml"); err == nil {
		t.Error("a file that is missing is a project")
	}
}

// echo is a system with one agent.
type echo struct{ *agent.Host }

func (e echo) Agents() []agent.Info { return []agent.Info{e.Info()} }

func (e echo) Agent(name string) (agent.Info, bool) { return e.Info(), name == e.Info().Name }

func host(t *testing.T, name string) *agent.Host {
	t.Helper()
	type said struct {
		From agent.Identity
	}
	h, err := agent.NewHost(agent.Env{Name: name}, agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("who", "Say who calls.", func(ctx context.Context, _ struct{}) (said, error) {
			return said{agent.CallFrom(ctx).From}, nil
		}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// serve serves a system on a listener until the test ends.
func serve(t *testing.T, ln *Listener, up chan struct{}) *Server {
	t.Helper()
	s := NewServer(ServerOptions{Options: server.Options{Identify: ln.Identify}, Project: "p",
		Agents: echo{host(t, "hidden")}, Runtime: host(t, Operator.Agent), Up: up,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("up 1")) })})
	srv := &http.Server{Handler: s} //nolint:gosec // a test's
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(context.WithoutCancel(t.Context())), srv.Close()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return s
}

func call(ctx context.Context, t *testing.T, e Endpoint, agents bool, tool string) (*agent.Result, error) {
	t.Helper()
	s, err := client.Connect(ctx, e.Target(agents), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	}()
	return s.Call(ctx, &agent.Call{Op: agent.OpTool, Name: tool, From: Operator, Attempt: 1})
}

// scrape reads /metrics.
func scrape(t *testing.T, e Endpoint) (int, string) {
	t.Helper()
	web := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		if e.socket != "" {
			return (&net.Dialer{}).DialContext(ctx, "unix", e.socket)
		}
		return (&net.Dialer{}).DialContext(ctx, "tcp", e.Addr)
	}}
	defer web.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+e.Token)
	res, err := web.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// A process is found by its project, and called as its operator: on a socket, and where there are
// none with an address and a token.
func TestFindAndCall(t *testing.T) {
	for name, file := range map[string]bool{"socket": false, "file": true} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t)
			path := filepath.Join(dir, "x.sock")
			ln, err := listen(t.Context(), path, file)
			if err != nil {
				t.Fatal(err)
			}
			up := make(chan struct{})
			close(up)
			serve(t, ln, up)
			e, alive := look(t.Context(), path, file)
			if !alive {
				t.Fatal("not found")
			}
			for tool, agents := range map[string]bool{"who": false, "hidden.who": true, "openmas.who": true} {
				res, err := call(t.Context(), t, e, agents, tool)
				want := `"Agent":"openmas","Instance":"","User":"","Trusted":true`
				if err != nil || !strings.Contains(string(res.Structured), want) {
					t.Errorf("%s: %+v, %v", tool, res, err)
				}
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			if code, text := scrape(t, e); code != http.StatusOK || text != "up 1" {
				t.Errorf("/metrics: %d, %q", code, text)
			}
			if !file {
				return
			}
			e.Token = "guessed"
			if code, _ := scrape(t, e); code != http.StatusUnauthorized {
				t.Errorf("/metrics with a wrong token: %d", code)
			}
			if _, err := client.Connect(t.Context(), e.Target(true), client.Options{}); err == nil ||
				!strings.Contains(err.Error(), "401") {
				t.Errorf("a wrong token: %v", err)
			}
		})
	}
}

// Processes are found while they run. What others have left is removed, and other projects are left
// alone.
func TestFind(t *testing.T) {
	dir := folder(t)
	p, other := projectOf(t, projectFile(t)), projectOf(t, projectFile(t))
	if found, err := Find(t.Context(), p); len(found) > 0 || err != nil {
		t.Fatalf("%v, %v", found, err)
	}
	listenAs := func(p Project, process string) *Listener {
		ln, err := Listen(t.Context(), p, process)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		return ln
	}
	a := listenAs(p, "a")
	listenAs(p, "b")
	listenAs(other, "c")
	die := func(p Project) string {
		path := filepath.Join(dir, folderName, p.file("dead"))
		ln, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		ln.(*net.UnixListener).SetUnlinkOnClose(false)
		_ = ln.Close()
		return path
	}
	dead := die(p)
	names := func() string {
		found, err := Find(t.Context(), p)
		if err != nil {
			t.Error(err)
		}
		var all string
		for _, e := range found {
			all += e.Process
		}
		return all
	}
	if got := names(); got != "ab" {
		t.Errorf("found %q", got)
	}
	if _, err := os.Lstat(dead); !os.IsNotExist(err) {
		t.Errorf("a dead socket is there: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if got := names(); got != "b" {
		t.Errorf("found %q", got)
	}
	die(projectOf(t, projectFile(t))) // for which nobody looks any more: the next process that starts removes it
	listenAs(p, "d")
	left, _ := filepath.Glob(filepath.Join(dir, folderName, "*"))
	if len(left) != 3 || names() != "bd" {
		t.Errorf("left: %v", left)
	}
}

// Nobody listens or looks in a folder that others could have prepared.
func TestUnsafeFolder(t *testing.T) {
	for name, prepare := range map[string]func(dir string) error{
		"others enter it": func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o755)) },
		"a symbolic link": func(dir string) error {
			return errors.Join(os.Mkdir(dir+".real", 0o700), os.Symlink(dir+".real", dir))
		},
		"a file": func(dir string) error { return os.WriteFile(dir, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(folder(t), folderName)
			if err := prepare(dir); err != nil {
				t.Fatal(err)
			}
			p := projectOf(t, projectFile(t))
			if _, err := Find(t.Context(), p); err == nil || !strings.Contains(err.Error(), dir) {
				t.Errorf("it is looked at: %v", err)
			}
			ln, err := Listen(t.Context(), p, "a")
			if err != nil {
				t.Fatal(err) // there are other places
			}
			defer func() { _ = ln.Close() }()
			if strings.HasPrefix(ln.Addr().String(), dir+"/") {
				t.Errorf("it listens at %s", ln.Addr())
			}
		})
	}
	dir := folder(t)
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // that is the point
		t.Fatal(err)
	}
	if err := checkParent(dir); err == nil {
		t.Error("others can move what is in the folder above, and it is taken")
	}
}

// Calls wait for the system to be up, and are refused when it stops; the runtime answers at any
// time.
func TestServerBeforeAndAfter(t *testing.T) {
	path := filepath.Join(folder(t), "x.sock")
	ln, err := listen(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	up := make(chan struct{})
	s := serve(t, ln, up)
	e, _ := look(t.Context(), path, false)
	early := make(chan error, 1)
	go func() {
		_, err := call(t.Context(), t, e, true, "hidden.who")
		early <- err
	}()
	if _, err := call(t.Context(), t, e, false, "who"); err != nil {
		t.Errorf("the runtime before the system is up: %v", err)
	}
	testkit.Eventually(t, "the early call waits", func() bool { return s.dir.gate.InFlight() == 1 })
	close(up)
	if err := testkit.Receive(t, early); err != nil {
		t.Errorf("the early call: %v", err)
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := call(t.Context(), t, e, true, "hidden.who"); agent.CodeOf(err) != agent.CodeUnavailable {
		t.Errorf("a call while it stops: %v", err)
	}
	if _, err := call(t.Context(), t, e, false, "who"); err != nil {
		t.Errorf("the runtime while the system stops: %v", err)
	}
}
