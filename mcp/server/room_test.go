package server

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// open opens a session over HTTP+SSE as whoever a token stands for.
func (s *site) openSSE(t *testing.T, token string) (status int, res *http.Response) {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/sse", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	res, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res.StatusCode, res
}

// One identity that holds all sessions keeps nobody out: each has a share, and what is in use
// stays.
func TestSessionsAreShared(t *testing.T) {
	const limit = 12
	release := make(chan struct{})
	dir := answering("a", func(*agent.Call) (*agent.Result, error) {
		<-release
		return agent.TextResult("fine"), nil
	})
	s := newSite(t, dir, GatewayOptions{Options: Options{Identify: tokens, Limits: Limits{Sessions: limit}}})
	held := func() map[string]int {
		n := map[string]int{}
		for _, i := range s.Sessions() {
			n[i.Identity]++
		}
		return n
	}
	// the first is in use
	busy := s.dialAs(t, "", codec.Version20251125, "hog")
	answered := make(chan string, 1)
	go func() { answered <- busy.ask(t, "tools/call", `{"name":"a_t"}`) }()
	testkit.Eventually(t, "a call runs", func() bool { return s.InFlight() == 1 })
	for i := range limit - 1 { // of both transports
		if i%2 == 0 {
			s.dialAs(t, "", codec.Version20251125, "hog")
		} else if status, _ := s.openSSE(t, "hog"); status != http.StatusOK {
			t.Fatal(status)
		}
	}
	if got := held()["hog"]; got != limit {
		t.Fatalf("%d sessions before the limit is reached", got)
	}
	if status, _ := s.openSSE(t, "hog"); status != http.StatusServiceUnavailable {
		t.Errorf("whoever holds most opens one more: %d", status)
	}
	for n := range limit / 2 {
		if status, _ := s.openSSE(t, "new"); status != http.StatusOK {
			t.Fatalf("another's session %d: %d", n+1, status)
		}
	}
	if status, _ := s.openSSE(t, "new"); status != http.StatusServiceUnavailable {
		t.Errorf("beyond its share: %d", status)
	}
	if got := held(); got["hog"] != limit/2 || got["new"] != limit/2 {
		t.Errorf("held: %v", got)
	}
	third := s.dialAs(t, "", codec.Version20251125, "third")
	if got := held(); got["third"] != 1 || len(s.Sessions()) != limit {
		t.Errorf("held: %v", got)
	}
	close(release)
	if got := <-answered; !strings.Contains(got, "fine") {
		t.Errorf("the call in flight: %.300s", got)
	}
	for name, c := range map[string]*rawClient{"hog": busy, "third": third} {
		if got := c.ask(t, "tools/call", `{"name":"a_t"}`); !strings.Contains(got, "fine") {
			t.Errorf("%s: %.300s", name, got)
		}
	}
	if log := s.log.String(); !strings.Contains(log, "its client has most of them") {
		t.Error(log)
	}
}

// What has a call in flight makes room for nobody.
func TestSessionsInUseStay(t *testing.T) {
	release := make(chan struct{})
	dir := answering("a", func(*agent.Call) (*agent.Result, error) {
		<-release
		return agent.TextResult("fine"), nil
	})
	s := newSite(t, dir, GatewayOptions{Options: Options{Identify: tokens, Limits: Limits{Sessions: 3}}})
	answers := make(chan string, 3)
	for range 3 {
		c := s.dialAs(t, "", codec.Version20251125, "hog")
		go func() { answers <- c.ask(t, "tools/call", `{"name":"a_t"}`) }()
	}
	testkit.Eventually(t, "the calls run", func() bool { return s.InFlight() == 3 })
	if status, _ := s.openSSE(t, "new"); status != http.StatusServiceUnavailable {
		t.Errorf("%d", status)
	}
	close(release)
	for range 3 {
		if got := <-answers; !strings.Contains(got, "fine") {
			t.Errorf("%.300s", got)
		}
	}
	testkit.Eventually(t, "the calls end", func() bool { return s.InFlight() == 0 })
	if status, _ := s.openSSE(t, "new"); status != http.StatusOK {
		t.Errorf("afterwards: %d", status)
	}
}

func TestHolder(t *testing.T) {
	of := func(user, addr string) string {
		c := newSession(context.Background(), &endpoint{}, "", Identity{Identity: agent.Identity{User: user}}, nil)
		defer c.cancel()
		c.client = addr
		return c.holder()
	}
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{of("u", "192.0.2.1:1000"), of("u", "192.0.2.1:2000"), true},
		{of("u", "192.0.2.1:1000"), of("v", "192.0.2.1:1000"), false},
		{of("", "192.0.2.1:1000"), of("", "192.0.2.2:1000"), false},
		{of("", "[2001:db8::1]:1000"), of("", "[2001:db8::ffff]:1000"), true},
		{of("", "[2001:db8::1]:1000"), of("", "[2001:db8:0:1::1]:1000"), false},
	} {
		if (c.a == c.b) != c.same {
			t.Errorf("%q and %q: the same is not %v", c.a, c.b, c.same)
		}
	}
}
