package checklist

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/mcptest"
)

func TestChecklist23(t *testing.T) { // many clients at once
	s := serve(t, mcp.SSE)
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]bool{}
	for range 20 {
		one := session(t, s, client.Options{})
		for range 10 {
			all.Go(func() {
				res, err := invoke(t.Context(), one, "count", struct{}{})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				seen[res.Text()] = true
			})
		}
	}
	all.Wait()
	if len(seen) != 200 {
		t.Errorf("200 calls counted to %d", len(seen))
	}
}

func TestChecklist24(t *testing.T) { // a limit on connections
	s := serve(t, mcp.SSE, "--set", "mcp.max_sessions=2")
	one := session(t, s, client.Options{})
	session(t, s, client.Options{})
	res, body := request(t, http.MethodGet, s.URL()+"/sse", "")
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" ||
		!strings.Contains(body, `"error":"too many sessions`) {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if _, err := invoke(t.Context(), one, "text", struct{}{}); err != nil {
		t.Error(err)
	}
}

func TestChecklist25(t *testing.T) { // each client has an identifier that a tool can see
	s := serve(t, mcp.SSE)
	seen := map[string]bool{}
	for range 3 {
		one := session(t, s, client.Options{})
		for range 2 {
			res, err := invoke(t.Context(), one, "client", struct{}{})
			if err != nil || res.Text() == "" {
				t.Fatal(res, err)
			}
			seen[res.Text()] = true
		}
	}
	if len(seen) != 3 {
		t.Errorf("3 clients have %d identifiers", len(seen))
	}
}

func TestChecklist26(t *testing.T) { // active connections are visible
	s := serve(t, mcp.SSE)
	one := session(t, s, client.Options{})
	if g := status(t, s).Gateway; g.Sessions["sse"] != 1 || g.Sessions["http"] != 1 || g.Calls != 1 {
		t.Errorf("%+v", g)
	}
	if err := one.Close(t.Context()); err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, "the session is gone", func() bool { return status(t, s).Gateway.Sessions["sse"] == 0 })
}

// logged runs the project and gathers its log.
func logged(t *testing.T, args ...string) (*mcptest.Server, func() string) {
	t.Helper()
	var mu sync.Mutex
	var all bytes.Buffer
	o := command(append([]string{"run", projectFile(t, yaml), "--listen", "127.0.0.1:0", "--log-level", "debug"},
		args...)...)
	o.Transport, o.Path = mcp.SSE, "/agents/guide/sse"
	o.Logf = func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&all, format+"\n", args...)
	}
	return start(t, o), func() string {
		mu.Lock()
		defer mu.Unlock()
		return all.String()
	}
}

func TestChecklist27(t *testing.T) { // a broken connection is logged, the others go on
	s, log := logged(t)
	one := session(t, s, client.Options{})
	before := strings.Count(log(), "SSE session ended")
	r := dialRaw(t, s.URL())
	r.break_()
	testkit.Eventually(t, "the end is logged", func() bool {
		return strings.Count(log(), "SSE session ended") > before
	})
	if _, err := invoke(t.Context(), one, "text", struct{}{}); err != nil {
		t.Error(err)
	}
}

// descriptors counts the open files of a process; -1 where that cannot be known.
func descriptors(pid int) int {
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return -1
	}
	return len(files)
}

func TestChecklist29(t *testing.T) { // what a client used is released when it disconnects
	s := serve(t, mcp.SSE)
	status(t, s) // so that everything is there that stays
	before := descriptors(s.Pid())
	var raw []*rawClient
	for range 30 {
		raw = append(raw, dialRaw(t, s.URL()))
	}
	if g := status(t, s).Gateway; g.Sessions["sse"] != 30 {
		t.Errorf("%+v", g)
	}
	for i, r := range raw {
		if i%2 == 0 {
			r.break_()
		} else {
			r.close()
		}
	}
	testkit.Eventually(t, "the sessions are gone", func() bool { return status(t, s).Gateway.Sessions["sse"] == 0 })
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	testkit.Eventually(t, "the files are closed", func() bool { return descriptors(s.Pid()) <= before+2 })
}

func TestChecklist30(t *testing.T) { // a connection's maximum lifetime
	s, log := logged(t, "--set", "mcp.session_lifetime=300ms")
	one := session(t, s, client.Options{})
	select {
	case <-one.Done():
	case <-time.After(hang):
		t.Fatal("it lives on")
	}
	testkit.Eventually(t, "a warning", func() bool {
		return strings.Contains(log(), "level=WARN") && strings.Contains(log(), "lifetime")
	})
	// It is off by default, unlike in the guide: many clients do not open another session.
	out, _, _ := run(t, "", "validate", projectFile(t, yaml), "--print")
	if !strings.Contains(out, "session_lifetime: off ") {
		t.Errorf("it is not off by default:\n%s", out)
	}
}

func TestChecklist31(t *testing.T) { // every I/O operation has a timeout
	s := serve(t, mcp.SSE, "--set", "mcp.header_timeout=100ms", "--set", "mcp.read_timeout=100ms")
	for _, half := range []string{"GET /sse HTTP/1.1\r\nHost: x", "POST /mcp HTTP/1.1\r\nHost: " +
		"127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(hang))
		if _, err = conn.Write([]byte(half)); err != nil {
			t.Fatal(err)
		}
		for b := make([]byte, 1024); err == nil; {
			_, err = conn.Read(b)
		}
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Errorf("%q is waited for", half)
		}
		_ = conn.Close()
	}
}

func TestChecklist32(t *testing.T) { // a shutdown waits for what is running
	if runtime.GOOS == "windows" {
		t.Skip("no SIGTERM here")
	}
	s := serve(t, mcp.SSE)
	one := session(t, s, client.Options{})
	done := make(chan error, 1)
	go func() {
		res, err := invoke(context.Background(), one, "wait", wait{1000})
		if err == nil && res.Text() != "waited" {
			err = fmt.Errorf("%+v", res)
		}
		done <- err
	}()
	testkit.Eventually(t, "the call runs", func() bool { return status(t, s).Gateway.Calls == 2 })
	p, err := os.FindProcess(s.Pid())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(agent.CodeOf(err), err)
	}
	<-s.Done()
	if s.Err() != nil {
		t.Error(s.Err())
	}
}
