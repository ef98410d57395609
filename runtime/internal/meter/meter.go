// Package meter counts the calls to an agent, tool by tool: how many, how they ended, how long they
// took and how many run. It is on the path of every call, over every communicator, and is where
// other instruments can listen.
package meter

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
)

// maxTools bounds the tools of an agent that are counted each for itself.
const maxTools = 1000

// A Meter counts the calls to one agent. The zero Meter is ready; it may be used concurrently.
type Meter struct {
	tools atomic.Pointer[map[string]*Tool] // replaced when one is added
	other Tool                             // prompts, resources, and tools that are not counted alone
	last  atomic.Pointer[Failure]

	mu sync.Mutex // of whoever adds a tool
}

// A Failure is a call that failed.
type Failure struct {
	At      time.Time  `json:"at"`
	Tool    string     `json:"tool,omitempty"`
	Code    agent.Code `json:"code"`
	Message string     `json:"message,omitempty"` // without the project's secrets
}

// maxMessage bounds what is kept of a message, in bytes.
const maxMessage = 500

// A Tool counts the calls of one tool.
type Tool struct {
	name     string
	inFlight atomic.Int64
	failures atomic.Int64
	busy     atomic.Int64
	took     histogram
}

// Tool returns the counter of a tool; empty: of all that is none. offered reports whether the agent
// has a tool of a name that is new: callers can make up any.
func (m *Meter) Tool(name string, offered func(name string) bool) *Tool {
	if known := m.tools.Load(); known != nil {
		if t := (*known)[name]; t != nil {
			return t
		}
	}
	if name == "" || !offered(name) {
		return &m.other
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	more := map[string]*Tool{}
	if known := m.tools.Load(); known != nil {
		more = maps.Clone(*known)
	}
	switch t := more[name]; {
	case t != nil:
		return t
	case len(more) >= maxTools:
		return &m.other
	}
	t := &Tool{name: name}
	more[name] = t
	m.tools.Store(&more)
	return t
}

// Begin counts a call that begins. End must follow.
func (t *Tool) Begin() { t.inFlight.Add(1) }

// End counts a call to an agent that has ended.
func (m *Meter) End(t *Tool, tool string, took time.Duration, err error) {
	t.inFlight.Add(-1)
	t.busy.Add(int64(took))
	t.took.add(took)
	if err == nil {
		return
	}
	t.failures.Add(1)
	e := agent.AsError(err)
	m.last.Store(&Failure{At: time.Now(), Tool: tool, Code: e.Code, Message: calls.Cut(e.Message, maxMessage)})
}

// Counts are the calls of one tool so far.
type Counts struct {
	// Tool is its name; empty: all that is no tool, or not counted alone.
	Tool     string
	InFlight int64
	Calls    int64
	Failures int64
	Busy     time.Duration // how long callers waited, all calls added up
	Latency  Latency
}

func (t *Tool) read() Counts {
	c := Counts{Tool: t.name, InFlight: t.inFlight.Load(), Failures: t.failures.Load(),
		Busy: time.Duration(t.busy.Load())}
	c.Latency, c.Calls = t.took.read()
	return c
}

// Read returns the counts of the tools that were called, by name, and the last call that failed;
// nil: none has.
func (m *Meter) Read() (all []Counts, last *Failure) {
	if c := m.other.read(); c.Calls > 0 || c.InFlight > 0 {
		all = append(all, c)
	}
	if known := m.tools.Load(); known != nil {
		for _, t := range *known {
			all = append(all, t.read())
		}
	}
	slices.SortFunc(all, func(a, b Counts) int { return cmp.Compare(a.Tool, b.Tool) })
	return all, m.last.Load()
}
