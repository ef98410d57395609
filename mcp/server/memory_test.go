package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// makesBlobs is a tool whose results have a megabyte, and how often it ran.
func makesBlobs() (*foreign, *atomic.Int64) {
	ran, blob := &atomic.Int64{}, strings.Repeat("x", 1<<20)
	return answering("a", func(*agent.Call) (*agent.Result, error) {
		ran.Add(1)
		return agent.TextResult(blob), nil
	}), ran
}

// A client that reads nothing costs what its session may keep, and then its calls do not run. The
// others notice nothing, and it can go on once it has read.
func TestAClientThatDoesNotReadIsRefused(t *testing.T) {
	for _, off := range []bool{false, true} {
		t.Run(fmt.Sprintf("fast path %v", !off), func(t *testing.T) {
			dir, ran := makesBlobs()
			s := newSite(t, dir, GatewayOptions{Options: Options{NoFastPath: off,
				Limits: Limits{Memory: 64 << 20, SessionMemory: 3 << 20}}})
			c := newSSEClient(t, s.url)
			const calls = 60
			for i := range calls {
				c.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"a_t"}}`, i+100))
			}
			testkit.Eventually(t, "each call has run or was refused", func() bool {
				return s.InFlight() == 0
			})
			if n := ran.Load(); n > 30 { // the sockets' own buffers take some
				t.Errorf("%d of %d calls ran", n, calls)
			}
			if n := s.o.memory.Used(); n > 5<<20 {
				t.Errorf("%d bytes wait", n)
			}
			other := s.talks(t, mcp.Streamable)
			if got := other.request("tools/call", `{"name":"a_t"}`); !strings.Contains(got, "xxxx") {
				t.Errorf("another client gets %.300s", got)
			}
			refused := 0
			for range calls {
				if d := c.event(`"id":1`); strings.Contains(d, "resource_exhausted") {
					refused++
					if !strings.Contains(d, "limits.session_memory") {
						t.Errorf("%.300s", d)
					}
				}
			}
			if refused == 0 {
				t.Error("no call was refused")
			}
			testkit.Eventually(t, "nothing waits", func() bool { return s.o.memory.Used() == 0 })
			c.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a_t"}}`)
			if d := c.event(`"id":1`); !strings.Contains(d, "xxxx") {
				t.Errorf("after it has read: %.300s", d)
			}
		})
	}
}

// A session that ends gives back what it had, whatever its client has read.
func TestTheMemoryOfASessionComesBack(t *testing.T) {
	dir, _ := makesBlobs()
	s := newSite(t, dir, GatewayOptions{Options: Options{Limits: Limits{Memory: 64 << 20}}})
	ctx, leave := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/sse", nil)
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	c := &sseClient{t: t, lines: bufio.NewScanner(res.Body)}
	c.endpoint = s.url + c.event("session_id")
	c.post(initialize)
	c.post(initialized)
	for i := range 40 {
		c.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"a_t"}}`, i+100))
	}
	testkit.Eventually(t, "results wait", func() bool { return s.o.memory.Used() > 8<<20 })
	leave()
	_ = res.Body.Close()
	testkit.Eventually(t, "nothing waits", func() bool { return s.o.memory.Used() == 0 && len(s.Sessions()) == 0 })
}

// Bodies that do not end cost what has come of them, and no more than their share.
func TestUnfinishedBodiesAreBounded(t *testing.T) {
	dir, _ := makesBlobs()
	s := newSite(t, dir, GatewayOptions{Options: Options{Limits: Limits{Memory: 16 << 20, MaxBody: 2 << 20}}})
	session := s.dial(t, "", codec.Version20251125)
	unfinished := func() net.Conn {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		fmt.Fprintf(c, "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"+
			"Accept: application/json, text/event-stream\r\nContent-Length: %d\r\n\r\n", 2<<20)
		return c
	}
	var waiting []net.Conn
	another := func() {
		c := unfinished()
		waiting = append(waiting, c)
		go func() { _, _ = c.Write(bytes.Repeat([]byte(" "), 1<<20)) }() // it ends with the connection
	}
	for range 20 {
		another()
	}
	status := func() (int, string) {
		code, _, body := send(t, "POST", s.url+"/mcp", streamableHeaders(nil),
			initialize+strings.Repeat(" ", 1<<20))
		return code, body
	}
	testkit.Eventually(t, "no more of them are read", func() bool {
		code, body := status()
		if code == http.StatusServiceUnavailable && strings.Contains(body, "limits.memory") &&
			strings.Contains(body, "resource_exhausted") {
			return true
		}
		another() // those that were refused together have left room
		return false
	})
	if n := s.o.memory.Used(); n > 4<<20 {
		t.Errorf("%d bytes wait", n)
	}
	if got := session.ask(t, "tools/call", `{"name":"a_t"}`); !strings.Contains(got, "xxxx") {
		t.Errorf("a session meanwhile: %.300s", got)
	}
	for _, c := range waiting {
		_ = c.Close()
	}
	testkit.Eventually(t, "nothing waits", func() bool { return s.o.memory.Used() == 0 })
	if code, body := status(); code != http.StatusOK {
		t.Errorf("afterwards: %d %.300s", code, body)
	}
}

// A client that repeats the id of a call, and reads no answer, is read no further: its answers cost
// neither goroutines nor memory.
func TestRefusalsThatAreNotReadAreBounded(t *testing.T) {
	release := make(chan struct{})
	dir := answering("a", func(*agent.Call) (*agent.Result, error) {
		<-release
		return agent.TextResult("fine"), nil
	})
	s := newSite(t, dir, GatewayOptions{Options: Options{Limits: Limits{SessionCalls: 10}}})
	pipes := fixture.SDKPipes(t, s.ServeStdio)
	lines := bufio.NewScanner(pipes.Reader)
	say := func(msg string) {
		if _, err := io.WriteString(pipes.Writer, msg+"\n"); err != nil {
			t.Error(err)
		}
	}
	say(initialize)
	lines.Scan()
	say(initialized)
	const twice, more = 20_000, 20_000
	before := runtime.NumGoroutine()
	repeated, said := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(said)
		call := func(id int) {
			say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"a_t"}}`, id))
		}
		for range twice {
			call(1)
		}
		close(repeated)
		for i := range more {
			call(i + 2)
		}
	}()
	select {
	case <-repeated:
		t.Error("a client that reads nothing is read to the end")
	case <-time.After(time.Second):
	}
	most := runtime.NumGoroutine() - before
	for read := range twice + more {
		if !lines.Scan() {
			t.Fatal(lines.Err())
		}
		most = max(most, runtime.NumGoroutine()-before)
		if read == twice+more-11 { // those that run are left
			close(release)
		}
	}
	<-said
	if most > 600 {
		t.Errorf("%d goroutines at once", most)
	}
}
