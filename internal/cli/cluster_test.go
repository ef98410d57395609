//go:build unix

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// shared is a project whose processes share a broker. Without retries, so that tests see each
// failure.
const shared = `project: shared
agents:
  greeter: {type: greeter}
  worker: {type: worker}
  post: {type: post}
  inbox: {type: inbox}
defaults: {retry: {attempts: 1}}
broker: {type: nats}
events: {letter.sent: {durable: true, attempts: 2, backoff: 100ms}}
`

// host starts a process that hosts some agents of a project, and waits until it is up; its gateway
// is on a free port.
func hosting(t *testing.T, path, agents string, flags ...string) (p *process, url string) {
	t.Helper()
	p = program(t, io.Discard, append([]string{"run", path, "--listen", "127.0.0.1:0", "--agents", agents},
		flags...)...)
	p.start()
	return p, p.err.Await(t, "SSE_SERVER_URL=")
}

// caller is a session to the gateway of a process.
type caller struct {
	t *testing.T
	*client.Session
}

func dialGateway(t *testing.T, url string) caller {
	t.Helper()
	s, err := client.Connect(t.Context(), client.Target{Transport: mcp.Streamable, URL: url + "/mcp",
		Trusted: true}, client.Options{}) // the codes of its errors are believed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return caller{t, s}
}

func (c caller) try(tool string, in, out any) error {
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	input, err := json.Marshal(in)
	if err != nil {
		return err
	}
	res, err := c.Call(ctx, &agent.Call{Op: agent.OpTool, Name: tool, Input: input, Attempt: 1})
	if err != nil || out == nil {
		return err
	}
	return res.Decode(out)
}

func (c caller) must(tool string, in, out any) {
	c.t.Helper()
	if err := c.try(tool, in, out); err != nil {
		c.t.Fatalf("%s: %v", tool, err)
	}
}

// knows waits until the process at the other end knows an agent.
func (c caller) knows(name string) {
	c.t.Helper()
	testkit.Eventually(c.t, "the process knows "+name, func() bool {
		return slices.Contains(c.agents(), name)
	}, &testkit.Buffer{})
}

func (c caller) agents() (names []string) {
	var l runtime.Listing
	c.must("openmas_list", struct{}{}, &l)
	for _, info := range l.Agents {
		names = append(names, info.Name)
	}
	return names
}

func (p *process) kill() time.Time {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	killed := time.Now()
	<-p.ended
	return killed
}

// A process that is killed: whoever waits for it knows before the deadline, which has another code;
// whoever calls it then knows at once; and it leaves the list.
func TestACalleesProcessIsKilled(t *testing.T) {
	t.Parallel()
	path := projectFile(t, shared)
	_, url := hosting(t, path, "greeter")
	victim, _ := hosting(t, path, "worker")
	c := dialGateway(t, url)
	c.knows("worker")
	answer := make(chan error, 1)
	go func() { answer <- c.try("worker_hang", struct{}{}, nil) }()
	victim.err.Await(t, "msg=hanging")
	killed := victim.kill()
	err := <-answer
	took := time.Since(killed)
	if agent.CodeOf(err) != agent.CodeOutcomeUnknown {
		t.Errorf("the caller was told after %v: %v", took, err)
	}
	began := time.Now()
	err = c.try("worker_print", struct{}{}, nil)
	none := time.Since(began)
	if agent.CodeOf(err) != agent.CodeUnavailable {
		t.Errorf("a call to nobody: %v", err)
	}
	testkit.Eventually(t, "the process is gone from the list", func() bool {
		return !slices.Contains(c.agents(), "worker")
	}, &victim.err)
	gone := time.Since(killed)
	t.Logf("the caller of a killed process knew after %v; a call to nobody took %v, through the gateway; gone from "+
		"the list after %v",
		took.Round(time.Millisecond), none.Round(10*time.Microsecond), gone.Round(time.Millisecond))
	again, _ := hosting(t, path, "worker")
	c.knows("worker")
	c.must("worker_print", struct{}{}, nil)
	again.signal(syscall.SIGTERM)
	if code := again.code(); code != exitOK {
		t.Errorf("exit %d\n%s", code, &again.err)
	}
}

// The process with the embedded broker is killed: another takes over, calls work again, and the
// durable events that were acknowledged are there.
func TestTheBrokersOwnerIsKilled(t *testing.T) {
	t.Parallel()
	path := projectFile(t, shared)
	owner, _ := hosting(t, path, "greeter")
	sender, url := hosting(t, path, "post")
	hosting(t, path, "worker")
	c := dialGateway(t, url)
	c.knows("worker")
	want := []string{}
	for n := range 20 {
		want = append(want, fmt.Sprint("letter ", n))
		c.must("post_send", letter{Text: want[n], Key: "k"}, nil)
	}
	killed := owner.kill()
	var err error
	testkit.Eventually(t, "calls between the others work again", func() bool {
		err = c.try("worker_print", struct{}{}, nil)
		return err == nil
	}, &sender.err)
	took := time.Since(killed)
	testkit.Eventually(t, "durable events are kept again", func() bool {
		return c.try("post_send", letter{Text: "after", Key: "k"}, nil) == nil
	}, &sender.err)
	t.Logf("calls worked %v after the owner of the broker was killed, durable events after %v",
		took.Round(time.Millisecond), time.Since(killed).Round(time.Millisecond))
	hosting(t, path, "inbox")
	c.knows("inbox")
	var seen []delivery
	testkit.Eventually(t, "every event is there", func() bool {
		c.must("inbox_seen", struct{}{}, &seen)
		return len(seen) > 20
	}, &sender.err)
	for n, d := range seen[:20] {
		if d.Text != want[n] {
			t.Errorf("%d is %+v", n, d)
		}
	}
}

func external(port int, more string) string {
	return strings.Replace(shared, "{type: nats}", fmt.Sprintf("{type: nats, urls: [\"nats://127.0.0.1:%d\"]%s}", port,
		more), 1)
}

// natsServer runs a NATS server; port -1 is any.
func natsServer(t *testing.T, o *natsd.Options) (port int) {
	t.Helper()
	o.Host, o.NoSigs, o.NoLog, o.JetStream, o.StoreDir = "127.0.0.1", true, true, true, t.TempDir()
	s, err := natsd.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(hang) {
		t.Fatal("the NATS server is not ready")
	}
	return s.Addr().(*net.TCPAddr).Port
}

// deadPort is a port on which nobody answers, and which no other test gets, until release.
func deadPort(t *testing.T) (port int, release func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	})
	release = sync.OnceFunc(func() { _ = l.Close(); accepting.Wait() })
	t.Cleanup(release)
	return l.Addr().(*net.TCPAddr).Port, release
}

func TestABrokerThatIsDown(t *testing.T) {
	t.Parallel()
	port, release := deadPort(t)
	path := projectFile(t, external(port, ""))
	where := "nats://127.0.0.1:" + strconv.Itoa(port)
	if r := run(t, "", "run", path, "--wait", "0"); r.code != exitFailed || !strings.Contains(r.err, where) ||
		strings.Contains(r.err, "waiting") {
		t.Errorf("--wait 0: %+v", r)
	}
	if r := run(t, "", "run", path, "--wait", "10ms"); r.code != exitFailed ||
		!strings.Contains(r.err, "waiting for the broker\" url="+where) {
		t.Errorf("--wait 10ms: %+v", r)
	}
	p := program(t, io.Discard, "run", path, "--listen", "127.0.0.1:0")
	p.start()
	p.err.Await(t, "waiting for the broker\" url="+where)
	release()
	natsServer(t, &natsd.Options{Port: port})
	c := dialGateway(t, p.err.Await(t, "SSE_SERVER_URL="))
	c.must("worker_print", struct{}{}, nil)
}

func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	port := natsServer(t, &natsd.Options{Port: -1, Username: "openmas", Password: "right"})
	path := projectFile(t, external(port, ", user: openmas, password: \"${env:BROKER_PASSWORD}\""))
	r := runWith(t.Context(), "", []string{"BROKER_PASSWORD=very-wrong"}, "run", path)
	if r.code != exitFailed || !strings.Contains(r.err, "refused the credentials") ||
		strings.Contains(r.err+r.out, "very-wrong") {
		t.Errorf("%+v", r)
	}
}

// Durable events from end to end: at least once for each agent, however it is reached; tried again,
// dead-lettered, listed and delivered again, always with their ID.
func TestDurableEvents(t *testing.T) {
	t.Parallel()
	overs := []string{project.OverLocal, project.OverPubSub, project.OverStdio, project.OverSSE, project.OverHTTP}
	text := strings.Replace(shared, "  inbox: {type: inbox}\n", "", 1)
	text = strings.Replace(text, "post: {type: post}\n", "post: {type: post}\n  post-child: {type: post, "+
		"communicator: mcp-stdio}\n", 1)
	for _, over := range overs {
		text = strings.Replace(text, "defaults:", fmt.Sprintf("  inbox-%s: {type: inbox, communicator: %s}\ndefaults:",
			over, over), 1)
	}
	path := projectFile(t, text)
	p := program(t, io.Discard, "run", path, "--listen", "127.0.0.1:0")
	p.start()
	c := dialGateway(t, p.err.Await(t, "SSE_SERVER_URL="))
	seen := func(over string) (all []delivery) {
		c.must("inbox-"+over+"_seen", struct{}{}, &all)
		return all
	}
	for n := range 5 {
		c.must("post_send", letter{Text: fmt.Sprint("letter ", n), Key: "k"}, nil)
	}
	c.must("post-child_send", letter{Text: "poison"}, nil)
	for _, over := range overs {
		var all []delivery
		testkit.Eventually(t, over+" has seen all", func() bool { all = seen(over); return len(all) >= 7 }, &p.err)
		var inOrder []string
		var poison []delivery
		for _, d := range all {
			if d.Text == "poison" {
				poison = append(poison, d)
			} else {
				inOrder = append(inOrder, d.Text)
			}
			if d.ID == "" || d.Attempt == 0 {
				t.Errorf("%s: %+v", over, d)
			}
		}
		if want := []string{"letter 0", "letter 1", "letter 2", "letter 3", "letter 4"}; !slices.Equal(inOrder, want) {
			t.Errorf("%s: %q", over, inOrder)
		}
		if len(poison) != 2 || poison[0].Attempt != 1 || poison[1].Attempt != 2 || poison[0].ID != poison[1].ID ||
			poison[0].From != "post-child" {
			t.Errorf("%s: %+v", over, poison)
		}
	}
	var dead []runtime.DeadLetter
	testkit.Eventually(t, "all are dead", func() bool {
		r := run(t, "", "events", "dead", "-p", path, "--json")
		dead = nil
		return r.code == exitOK && json.Unmarshal([]byte(r.out), &dead) == nil && len(dead) == len(overs)
	}, &p.err)
	if d := dead[0]; d.Attempts != 2 || !strings.Contains(d.Reason, "poison") || d.Event.Topic != "letter.sent" ||
		d.Event.ID == "" || !strings.HasPrefix(d.Agent, "inbox-") {
		t.Errorf("%+v", d)
	}
	if r := run(t, "", "events", "dead", "-p", path, "--agent", "inbox-local"); strings.Count(r.out, "\n") != 2 ||
		!strings.Contains(r.out, "letter.sent") {
		t.Errorf("dead: %+v", r)
	}
	if r := run(t, "", "events", "replay", "--project", path, "99999"); r.code != exitFailed ||
		!strings.Contains(r.err, "99999: there is none") {
		t.Errorf("replay of none: %+v", r)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "mended"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := run(t, "", "events", "replay", "--project", path, "--all"); r.code != exitOK ||
		r.out != fmt.Sprintf("%d events delivered again\n", len(overs)) {
		t.Errorf("replay: %+v", r)
	}
	for _, over := range overs {
		testkit.Eventually(t, over+" has it again", func() bool {
			all := seen(over)
			last := all[len(all)-1]
			return len(all) == 8 && last.Text == "poison" && last.ID == dead[0].Event.ID && last.Attempt == 1
		}, &p.err)
	}
	if r := run(t, "", "events", "dead", "-p", path); r.code != exitOK || strings.Count(r.out, "\n") != 1 {
		t.Errorf("dead ones are left: %+v", r)
	}
	p.signal(syscall.SIGTERM)
	if code := p.code(); code != exitOK {
		t.Errorf("exit %d\n%s", code, &p.err)
	}
}

// Other commands find the processes that run, and print where everything is.
func TestListAndCallInACluster(t *testing.T) {
	t.Parallel()
	path := projectFile(t, shared)
	hosting(t, path, "greeter")
	hosting(t, path, "worker")
	host, _ := os.Hostname()
	r := run(t, "", "list", "-p", path)
	if r.code != exitOK || !strings.Contains(r.out, "greeter.greet(name, loud?)") ||
		!strings.Contains(r.out, "worker.print") || strings.Contains(r.out, "post.send") ||
		strings.Count(r.out, " "+host+" ") != 2 || strings.Count(r.out, testVersion) != 2 {
		t.Errorf("list: %+v", r)
	}
	if r := run(t, "", "call", "greeter.greet", "name=Ada", "--project", path); r.code != exitOK ||
		r.out != "Hello, Ada!\n" {
		t.Errorf("call: %+v", r)
	}
	if r := run(t, "", "validate", path, "--agents", "greeter,worker", "--agents", "post"); r.code != exitUsage ||
		!strings.Contains(r.err, "no process hosts inbox") {
		t.Errorf("validate: %+v", r)
	}
}
