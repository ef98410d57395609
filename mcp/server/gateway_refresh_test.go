package server

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// reluctant is a directory that, once, holds back who has asked what it has.
type reluctant struct {
	*foreign
	hold            atomic.Bool
	listed, release chan struct{}
}

func (h *reluctant) Agents() []agent.Info {
	infos := h.foreign.Agents()
	if h.hold.CompareAndSwap(true, false) {
		close(h.listed)
		<-h.release
	}
	return infos
}

// Of two refreshes at the same time, the one that saw the directory later counts.
func TestGatewayRefreshesInOrder(t *testing.T) {
	tools := func(names ...string) (out []agent.Info) {
		for _, name := range names {
			out = append(out, agent.Info{Name: name, Tools: []agent.ToolInfo{{Name: "say"}}})
		}
		return out
	}
	dir := &reluctant{foreign: serving(tools("first")...), listed: make(chan struct{}), release: make(chan struct{})}
	s := newSite(t, dir, GatewayOptions{})
	dir.hold.Store(true)
	one, two := make(chan struct{}), make(chan struct{})
	go func() { defer close(one); s.Refresh() }()
	testkit.Receive(t, dir.listed) // it has what was there before the other agent came
	dir.mu.Lock()
	dir.infos = tools("first", "second")
	dir.mu.Unlock()
	go func() { defer close(two); s.Refresh() }()
	select {
	case <-two:
	case <-time.After(50 * time.Millisecond): // it waits for the first
	}
	close(dir.release)
	testkit.Receive(t, one)
	testkit.Receive(t, two)
	if got := s.ask(t, "", codec.Version20251125, "tools/list", `{}`); !strings.Contains(got, "second_say") {
		t.Errorf("the agent that came is not there: %s", got)
	}
}
