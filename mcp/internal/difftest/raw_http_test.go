package difftest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openmas/openmas/mcp/server"
)

// httpServer is a server over HTTP, for one conversation.
type httpServer struct {
	heard
	t       testing.TB
	gateway *server.Gateway
	srv     *httptest.Server
	http    *http.Client
	header  http.Header
	ctx     context.Context // of the streams
	stop    context.CancelFunc
	streams sync.WaitGroup
	posts   sync.WaitGroup
	sent    int
}

func newHTTPServer(t testing.TB, g *server.Gateway, trusted bool) *httpServer {
	s := &httpServer{t: t, gateway: g, srv: httptest.NewServer(g), header: http.Header{},
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if trusted {
		s.header.Set("X-Trusted", "1")
	}
	return s
}

func (s *httpServer) fast() int64 { return s.gateway.FastCalls() }

func (s *httpServer) messages() int { return s.sent }

// post sends a message and returns the response, or nil.
func (s *httpServer) post(path, msg string, more http.Header) *http.Response {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.srv.URL+path, strings.NewReader(msg))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header = s.header.Clone()
	for k, v := range more {
		r.Header[k] = v
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := s.http.Do(r)
	if err != nil {
		s.t.Error(err)
		return nil
	}
	return resp
}

// events hears the messages of a stream until it ends.
func (s *httpServer) events(body io.Reader) {
	lines := bufio.NewReader(body)
	var data []byte
	for {
		line, err := lines.ReadBytes('\n')
		line = bytes.TrimSpace(line)
		if value, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = append(data, bytes.TrimSpace(value)...)
		} else if len(line) == 0 && len(data) > 0 {
			s.add(string(data))
			data = nil
		}
		if err != nil {
			return
		}
	}
}

// open opens an event stream, which lasts until close.
func (s *httpServer) open(path string) {
	r, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.srv.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header = s.header.Clone()
	r.Header.Set("Accept", "text/event-stream")
	resp, err := s.http.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.streams.Go(func() {
		defer resp.Body.Close()
		s.events(resp.Body)
	})
}

func (s *httpServer) close() {
	s.stop()
	s.streams.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	if err := s.gateway.Drain(ctx); err != nil {
		s.t.Error(err)
	}
	s.srv.Close()
	s.http.CloseIdleConnections()
}

// sseClient speaks to a server over HTTP+SSE.
type sseClient struct {
	*httpServer
	endpoint string
}

func newSSEClient(t testing.TB, g *server.Gateway, trusted bool) *sseClient {
	c := &sseClient{httpServer: newHTTPServer(t, g, trusted)}
	c.open("/sse")
	c.endpoint = c.await(t, "endpoint", holds("/messages/"))
	return c
}

func (c *sseClient) send(msg string) {
	c.sent++
	if resp := c.post(c.endpoint, msg, nil); resp != nil {
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			c.add(fmt.Sprintf("status of message %d: %d", c.sent, resp.StatusCode))
		}
	}
}

func (c *sseClient) finish() []string {
	c.close()
	return c.all()[1:]
}

// streamableClient speaks to a server over streamable HTTP.
type streamableClient struct {
	*httpServer
	version string
}

func newStreamableClient(t testing.TB, g *server.Gateway, trusted bool, version string) *streamableClient {
	return &streamableClient{newHTTPServer(t, g, trusted), version}
}

func (c *streamableClient) send(msg string) {
	c.sent++
	more := http.Header{}
	if c.version == eraNewest {
		more.Set("Mcp-Protocol-Version", eraNewest)
		var m message
		if json.Unmarshal([]byte(msg), &m) == nil {
			more.Set("Mcp-Method", m.Method)
			if m.Params.Name != "" {
				more.Set("Mcp-Name", m.Params.Name)
			}
		}
	} else if c.sent > 1 {
		more.Set("Mcp-Protocol-Version", c.version)
	}
	n := c.sent
	answered := func() {
		resp := c.post("/mcp", msg, more)
		if resp == nil {
			return
		}
		defer resp.Body.Close()
		if id := resp.Header.Get("Mcp-Session-Id"); id != "" && n == 1 {
			c.header.Set("Mcp-Session-Id", id)
			defer c.open("/mcp")
		}
		if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted {
			c.add(fmt.Sprintf("status of message %d: %d", n, resp.StatusCode))
		}
		if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
			c.events(resp.Body)
		} else if b, err := io.ReadAll(resp.Body); err == nil && resp.Header.Get("Content-Type") == "application/json" {
			c.add(string(bytes.TrimSpace(b)))
		}
	}
	var m message
	if n > 1 && json.Unmarshal([]byte(msg), &m) == nil && m.ID != nil && m.Method != "" {
		c.posts.Go(answered) // it may have to wait for messages of ours
	} else {
		answered()
	}
}

func (c *streamableClient) finish() []string {
	defer c.close()
	if c.version != eraNewest {
		defer c.end()
	}
	done := make(chan struct{})
	go func() { c.posts.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(hang):
		c.t.Error("a POST is not answered")
	}
	return c.all()
}

// end ends the session, so that nobody waits for it.
func (c *streamableClient) end() {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodDelete, c.srv.URL+"/mcp", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header = c.header.Clone()
	resp, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = resp.Body.Close() // there is nothing to say
}

// holds is true for messages that hold text.
func holds(text string) func(string) bool {
	return func(msg string) bool { return strings.Contains(msg, text) }
}
