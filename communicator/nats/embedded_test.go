package nats

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
)

func TestEmbedded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	o := Options{Project: "test", StateDir: dir}
	first, second := open(t, o), open(t, o)
	if !first.Owner() || second.Owner() || first.URL() != second.URL() {
		t.Fatal(first.Owner(), second.Owner(), first.URL(), second.URL())
	}
	info, err := os.Stat(filepath.Join(dir, brokerFile))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode != 0o600 {
		t.Errorf("%v", mode)
	}
	a, err := readAccess(dir)
	if err != nil || a.URL != first.URL() || a.PID != os.Getpid() || len(a.Token) < 20 ||
		!strings.HasPrefix(a.URL, "nats://127.0.0.1:") {
		t.Fatal(a, err)
	}
	if n := first.MaxPayload(); n != 4<<20 {
		t.Error(n)
	}
	serve(t, process(t, second), "callee", echo)
	if _, err := dial(t, process(t, first), "callee").Call(t.Context(),
		&agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x", Input: []byte(`1`)}); err != nil {
		t.Error(err)
	}
	// One that leaves passes it on.
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the other takes over", second.Owner)
	third := open(t, o)
	testkit.Eventually(t, "and is reached", func() bool {
		_, err := process(t, third).Dial(t.Context(), "callee")
		return err == nil
	})
	if err := os.Chmod(filepath.Join(dir, brokerFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		if _, err := readAccess(dir); err == nil {
			t.Error("others can read the token, and nobody minds")
		}
	}
}

// lines is a log that is read while it is written.
type lines struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Whoever runs the broker notices that its state folder was removed: the project does not fall in
// two parts, one with each broker, and durable events go on in the new store.
func TestTheStateFolderIsRemoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open cannot be removed here")
	}
	for _, another := range []bool{false, true} {
		t.Run(fmt.Sprintf("another process comes %v", another), func(t *testing.T) {
			dir, log := filepath.Join(t.TempDir(), "state"), &lines{}
			first := open(t, Options{Project: "test", StateDir: dir, Logger: slog.New(slog.NewTextHandler(log, nil))})
			v := durable(t, first, DurableOptions{})
			got := make(chan string, 1)
			listen(t, v, "a", "t", func(_ context.Context, p agent.Event, _ int) error { got <- p.ID; return nil })
			serve(t, process(t, first), "callee", echo)
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if another {
				if _, said := spawn(t, "second", dirVar+"="+dir); said != "owner" {
					t.Fatal(said)
				}
			}
			testkit.Eventually(t, "it says so", func() bool {
				return strings.Contains(log.String(), "level=ERROR") &&
					strings.Contains(log.String(), "was removed while it ran")
			})
			testkit.Eventually(t, "one broker is there", func() bool {
				a, err := readAccess(dir)
				return err == nil && a != nil && first.URL() == a.URL && first.Owner() != another
			})
			for _, name := range []string{"callee", "second"} {
				if name == "second" && !another {
					continue
				}
				testkit.Eventually(t, "calls work", func() bool {
					p, err := process(t, first).Dial(t.Context(), name)
					if err != nil {
						return false
					}
					_, err = p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: name, Name: "x",
						Input: []byte(`1`)})
					return err == nil && p.Close(t.Context()) == nil
				})
			}
			testkit.Eventually(t, "an event is kept", func() bool {
				return v.Publish(t.Context(), agent.Event{ID: "1", Topic: "t", Payload: []byte(`1`)}) == nil
			})
			if id := testkit.Receive(t, got); id != "1" {
				t.Error(id)
			}
		})
	}
}

// kill -9 of the process that runs the broker: another takes over, calls between the others work
// again, and durable events are there.
func TestOwnerIsKilled(t *testing.T) {
	dir := t.TempDir()
	owner, said := spawn(t, "first", dirVar+"="+dir)
	if said != "owner" {
		t.Fatal(said)
	}
	for _, name := range []string{"second", "third"} {
		if _, said := spawn(t, name, dirVar+"="+dir); said != "client" {
			t.Fatal(said)
		}
	}
	d := open(t, Options{Project: "test", StateDir: dir})
	v := durable(t, d, DurableOptions{})
	const events = 50
	for i := range events {
		keep(t, v, agent.Event{ID: fmt.Sprint(i), Topic: "t"})
	}
	c := process(t, d)
	call := func(name string) error {
		ctx, cancel := context.WithTimeout(t.Context(), testkit.Hang)
		defer cancel()
		p, err := c.Dial(ctx, name)
		if err != nil {
			return err
		}
		if _, err = p.Call(ctx, &agent.Call{Op: agent.OpTool, Agent: name, Name: "x", Input: []byte(`1`)}); err != nil {
			return err
		}
		return p.Close(ctx)
	}
	for _, name := range []string{"first", "second", "third"} {
		if err := call(name); err != nil {
			t.Fatal(name, err)
		}
	}
	old, err := readAccess(dir)
	if err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	owner.kill(t)
	testkit.Eventually(t, "calls work again", func() bool { return call("second") == nil && call("third") == nil })
	t.Logf("calls between the others worked again %v after the kill", time.Since(killed).Round(time.Millisecond))
	now, err := readAccess(dir)
	if err != nil || now.PID == old.PID || now.Token == old.Token {
		t.Fatal(now, err)
	}
	if now.URL != old.URL {
		t.Logf("the port was not free: %s, now %s", old.URL, now.URL)
	}
	if err := call("first"); agent.CodeOf(err) != agent.CodeUnavailable {
		t.Error(err)
	}
	got := make(chan string, events)
	listen(t, v, "a", "t", func(_ context.Context, p agent.Event, _ int) error { got <- p.ID; return nil })
	ids := map[string]bool{}
	for range events {
		ids[testkit.Receive(t, got)] = true
	}
	if len(ids) != events {
		t.Errorf("%d events", len(ids))
	}
}
