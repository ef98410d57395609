//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

func clientRows() []row {
	return []row{
		{"connects", "1,000 connects and abrupt disconnects", true, connects},
		{"no-reader", "a client that reads nothing, 60 calls of 15 MB", false, noReader},
		{"all-sessions", "one address holds all sessions", false, allSessions},
		{"descriptors", "no file descriptors left", false, descriptors},
	}
}

// raw connects to the system and sends a text. The local address may be another of loopback.
func raw(ctx context.Context, url, local, text string) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
	c, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(c, text); err != nil {
		reset(c)
		return nil, err
	}
	return c, nil
}

const getSSE = "GET /sse HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"

// postMCP is a request to a session of streamable HTTP, all or the first half of it.
func postMCP(session, body string) string {
	return fmt.Sprintf("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
		"Accept: application/json, text/event-stream\r\nMcp-Session-Id: %s\r\nContent-Length: %d\r\n\r\n%s",
		session, len(body), body)
}

// connects has clients that vanish at every point of a conversation.
func connects(ctx context.Context, t *trial) error {
	s, err := t.start(ctx, "openmas", oneChild)
	if err != nil {
		return err
	}
	targets := []target{{tool: "here_work", ms: 5}, {tool: "child_work", ms: 5}}
	before, err := t.warmUp(ctx, s, 4, targets...)
	if err != nil {
		return err
	}
	if err := t.beginLoad(ctx, s.url, 4, 20*time.Millisecond, targets...); err != nil {
		return err
	}
	session, err := dialWeb(ctx, s.url)
	if err != nil {
		return err
	}
	call := `{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"child_read","arguments":{"id":"gone","ms":3000}}}`
	half := postMCP(session.session, call)
	texts := []string{"", getSSE, getSSE, postMCP(session.session, call), half[:len(half)-40]}
	for batch := range 20 {
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				c, err := raw(ctx, s.url, "127.0.0.1", texts[i%len(texts)])
				if err != nil {
					return // it was too many at once for the machine
				}
				if i%2 == 0 { // some see the beginning of an answer
					_ = c.SetReadDeadline(time.Now().Add(30 * time.Millisecond)) // it is open
					_, _ = c.Read(make([]byte, 100))                             // or nothing
				}
				reset(c)
			})
		}
		all.Wait()
		if batch%5 == 0 {
			pause(ctx, 20*time.Millisecond)
		}
	}
	session.close()
	t.load.stop()
	t.nothingFailed(t.load.all())
	t.compare(ctx, s, before)
	t.judge(time.Time{})
	return nil
}

// noReader asks for more than fits anywhere, and leaves it there. The program has a soft limit of
// memory, as it has in a container: without one, the garbage of the tools that make
// such results lies about for as long as there is room.
func noReader(ctx context.Context, t *trial) error {
	const calls, size = 60, 15 << 20
	s, err := t.prepare("openmas", oneChild)
	if err != nil {
		return err
	}
	s.process, err = t.launch("openmas", []string{"GOMEMLIMIT=540MiB"}, "run", s.file)
	if err != nil {
		return err
	}
	if s.url, err = s.await(ctx, "SSE_SERVER_URL="); err != nil {
		return err
	}
	if err := t.beginLoad(ctx, s.url, 4, 20*time.Millisecond, target{tool: "here_work", ms: 5}); err != nil {
		return err
	}
	c, err := raw(ctx, s.url, "127.0.0.1", getSSE)
	if err != nil {
		return err
	}
	defer reset(c)
	// The address of the session is the first event; what follows is left where it is.
	head := make([]byte, 0, 4096)
	for !strings.Contains(string(head), "session_id=") || !strings.HasSuffix(string(head), "\n") {
		n, err := c.Read(head[len(head):cap(head)])
		if err != nil {
			return err
		}
		head = head[:len(head)+n]
	}
	_, after, _ := strings.Cut(string(head), "session_id=")
	id := strings.TrimSpace(strings.Fields(after)[0])
	post := func(body string) error {
		p, err := raw(ctx, s.url, "127.0.0.1", fmt.Sprintf("POST /messages/?session_id=%s HTTP/1.1\r\n"+
			"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
			id, len(body), body))
		if err != nil {
			return err
		}
		defer reset(p)
		_, err = p.Read(make([]byte, 100))
		return err
	}
	if err := post(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`); err != nil {
		return err
	}
	for i := range calls {
		if err := post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"here_read","arguments":{"id":"big%d","bytes":%d}}}`,
			i+2, i, size)); err != nil {
			return err
		}
	}
	pause(ctx, 3*time.Second)
	t.load.stop()
	t.nothingFailed(of(t.load.all(), "here_work"))
	t.RSS = memory(s.pid(), "VmHWM:")
	if t.RSS > 700 {
		t.broken("%d MiB for %d results of 15 MB that nobody reads", t.RSS, calls)
	}
	t.judge(time.Time{})
	return nil
}

// allSessions has one address open all sessions that there are, and another one come then.
func allSessions(ctx context.Context, t *trial) error {
	const most = 100
	s, err := t.start(ctx, "openmas", oneChild, "--set", fmt.Sprint("mcp.max_sessions=", most))
	if err != nil {
		return err
	}
	for range most {
		c, err := raw(ctx, s.url, "127.0.0.1", getSSE)
		if err != nil {
			return err
		}
		defer reset(c)
		if _, err := c.Read(make([]byte, 100)); err != nil {
			return err
		}
	}
	c, err := raw(ctx, s.url, "127.0.0.2", getSSE)
	if err != nil {
		return err
	}
	defer reset(c)
	head := make([]byte, 12)
	if _, err := io.ReadFull(c, head); err != nil {
		return err
	}
	if string(head) != "HTTP/1.1 200" {
		t.broken("another address gets %q", head)
	}
	t.RSS = memory(s.pid(), "VmHWM:")
	return nil
}

// descriptors uses up the descriptors of a system, and has a child die meanwhile.
func descriptors(ctx context.Context, t *trial) error {
	s, err := t.prepare("openmas", oneChild)
	if err != nil {
		return err
	}
	s.process, err = t.launchProgram("openmas", []string{"CHAOS_PROBE=" + s.probe}, "/bin/sh", "-c",
		`ulimit -n 120; exec "$@"`, "sh", t.crew, "run", s.file)
	if err != nil {
		return err
	}
	if s.url, err = s.await(ctx, "SSE_SERVER_URL="); err != nil {
		return err
	}
	pid, err := t.warm(ctx, s.url, "child_work")
	if err != nil {
		return err
	}
	if err := t.beginLoad(ctx, s.url, 4, 20*time.Millisecond, target{tool: "here_work", ms: 5},
		target{tool: "child_work", ms: 5}, target{tool: "foreign_work", ms: 5}); err != nil {
		return err
	}
	var open []net.Conn
	for range 300 {
		c, err := raw(ctx, s.url, "127.0.0.1", getSSE)
		if err == nil {
			open = append(open, c)
		}
	}
	fault := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	pause(ctx, 3*time.Second)
	for _, c := range open {
		reset(c)
	}
	freed := time.Now()
	pause(ctx, 6*time.Second)
	t.load.stop()
	for _, a := range t.load.all() {
		if a.code == "not_found" || a.code == "internal" {
			t.broken("a call failed with %s: %.200s", a.code, a.text)
			break
		}
	}
	asks := of(t.load.all(), "child_work")
	t.Detected, _ = firstFailed(asks, fault)
	t.recovered(asks, freed, 5*time.Second)
	t.nothingFailed(of(t.load.all(), "here_work"))
	t.RSS = memory(s.pid(), "VmHWM:")
	t.judge(time.Time{})
	return nil
}
