package access

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime/project"
)

func TestWrongTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &testkit.Buffer{}
		identify := Identify(&project.Gateway{Token: "the-right-token-of-the-user"},
			slog.New(slog.NewTextHandler(log, nil)))
		try := func(addr, token string) (time.Duration, error) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/sse", nil)
			r.RemoteAddr = addr
			r.Header.Set("Authorization", "Bearer "+token)
			began := time.Now()
			_, err := identify(r)
			return time.Since(began), err
		}
		var waits []time.Duration
		for i := range 10 {
			d, err := try(fmt.Sprintf("192.0.2.1:%d", 1000+i), "the-right-token-of-the-usr")
			if agent.CodeOf(err) != agent.CodeUnauthenticated {
				t.Error(err)
			}
			waits = append(waits, d)
		}
		if got := fmt.Sprint(waits); got != "[0s 0s 0s 100ms 200ms 400ms 800ms 1.6s 2s 2s]" {
			t.Error(got)
		}
		for _, addr := range []string{"192.0.2.1:1", "192.0.2.2:1"} { // who has the right one does not wait
			if d, err := try(addr, "the-right-token-of-the-user"); d != 0 || err != nil {
				t.Error(addr, d, err)
			}
		}
		if d, _ := try("192.0.2.2:1", "wrong"); d != 0 {
			t.Errorf("another address waits %v", d)
		}
		text := log.String()
		if n := strings.Count(text, "a client sent a wrong token"); n != 2 || strings.Contains(text, "right") ||
			!strings.Contains(text, "192.0.2.1") {
			t.Errorf("%d lines in %s", n, text)
		}
		time.Sleep(2 * time.Minute)
		if d, _ := try("192.0.2.1:1", "wrong"); d != 0 {
			t.Errorf("after two minutes: %v", d)
		}
	})
}

// However many guess, what is remembered of them is bounded, and so are those that wait.
func TestManyStrangers(t *testing.T) {
	s := &strangers{log: slog.New(slog.DiscardHandler)}
	now := time.Now()
	for i := range 3 * maxStrangers {
		s.note(fmt.Sprint(i), 20, now.Add(time.Duration(i)))
	}
	if n := len(s.byAddr); n != maxStrangers {
		t.Errorf("%d are remembered", n)
	}
	refused := 0
	for range 2*maxDelayed + freeGuesses {
		if _, ok := s.note("one", 20, now.Add(time.Second)); !ok {
			refused++
		}
	}
	if refused != maxDelayed {
		t.Errorf("%d refused", refused)
	}
	ctx, leave := context.WithCancel(t.Context())
	leave()
	s.delayed = 0
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	r.RemoteAddr = "one"
	if err := s.refuse(r, "wrong"); agent.CodeOf(err) != agent.CodeUnauthenticated || s.delayed != 0 {
		t.Error(err, s.delayed)
	}
}
