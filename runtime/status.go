package runtime

import (
	"errors"
	"slices"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/crashes"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/project"
)

// State is what an instance of an agent is doing, or its Runner.
type State string

// The states of an instance.
const (
	StateStarting   State = "starting"
	StateReady      State = "ready"
	StateIdle       State = "idle"       // parked, since nobody called it; the next call starts it
	StateSuspect    State = "suspect"    // does not answer pings
	StateRestarting State = "restarting" // or being reconnected
	StateBackoff    State = "backoff"    // failed too often in a row; waits
	StateFailed     State = "failed"     // given up, or could not start: see InstanceStatus.Next
	StateDraining   State = "draining"   // takes no new calls, and stops when those in flight have ended
	StateStopped    State = "stopped"
)

// What a Runner is doing, beside those.
const (
	StateRunning State = "running"
	StateDone    State = "done"
)

// Status is a system at one moment, as the tool openmas.status and the CLI give it.
type Status struct {
	Project string `json:"project"`
	Version string `json:"version"`
	// Process is the name of this process in its project, for as long as it lives.
	Process string    `json:"process"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	// State is starting, ready or draining.
	State string `json:"state"`
	// WaitsFor is what the start waits for, and why; empty when it does not wait.
	WaitsFor string `json:"waitsFor,omitempty"`
	// URL is the gateway's address, without a path; empty when there is none.
	URL string `json:"url,omitempty"`
	// Ops is the address for probes and scrapers, without a path; empty when there is none. It is
	// for who runs the process.
	Ops string `json:"ops,omitempty"`
	// Gateway is who uses it now; nil before it is up.
	Gateway *GatewayStatus `json:"gateway,omitempty"`
	Agents  []AgentStatus  `json:"agents"`
}

// GatewayStatus is what the gateway's clients do.
type GatewayStatus struct {
	Sessions  map[string]int `json:"sessions"`  // open over HTTP, by transport: sse, http
	Calls     int            `json:"calls"`     // running now
	FastCalls int64          `json:"fastCalls"` // calls of tools that passed beside the MCP SDK, so far
}

// AgentStatus is one agent: where it is, what it offers, and what its callers in this process saw.
type AgentStatus struct {
	Name         string   `json:"name"`
	Communicator string   `json:"communicator"`
	State        State    `json:"state"`
	Tools        []string `json:"tools"`
	Calls        int64    `json:"calls"`
	Failures     int64    `json:"failures"`
	Retries      int64    `json:"retries"`
	BusyMS       int64    `json:"busyMs"` // time that callers waited, all calls added up
	// P50MS and P99MS are how long half of the calls took at most, and 99 of 100, since the start:
	// at most a quarter too long.
	P50MS float64 `json:"p50Ms"`
	P99MS float64 `json:"p99Ms"`
	// InFlight are the calls of callers in this process that run now.
	InFlight int `json:"inFlight"`
	// Waiting are those that wait for their turn, or for an instance.
	Waiting int `json:"waiting,omitempty"`
	// Breakers are those of tools that are not closed.
	Breakers []BreakerStatus `json:"breakers,omitempty"`
	// LastFailure is the last call that failed. Its message is for who runs the process.
	LastFailure *Failure         `json:"lastFailure,omitempty"`
	ByTool      []ToolStatus     `json:"byTool,omitempty"` // tools that were called
	Instances   []InstanceStatus `json:"instances"`
	Runner      State            `json:"runner,omitempty"`
	// WaitsFor are the agents and tools that it requires and that are not there yet.
	WaitsFor []string `json:"waitsFor,omitempty"`

	remote bool
}

// A Failure is a call that failed.
type Failure struct {
	At      time.Time  `json:"at"`
	Tool    string     `json:"tool,omitempty"`
	Code    agent.Code `json:"code"`
	Message string     `json:"message,omitempty"`
}

// A BreakerStatus is a breaker that is not closed. Failed of All calls had failed within the window
// when it opened, the last one with Code.
type BreakerStatus struct {
	Tool     string     `json:"tool,omitempty"` // empty: prompts, resources and unknown names
	Instance string     `json:"instance"`
	State    string     `json:"state"` // open or half-open
	Since    time.Time  `json:"since"`
	Failed   int        `json:"failed"`
	All      int        `json:"all"`
	Code     agent.Code `json:"code"`
	// Next is when it lets a call through on trial; zero: now.
	Next time.Time `json:"next,omitzero"`
}

// ToolStatus is what callers in this process saw of one tool. Tool is empty for prompts, resources
// and names that the agent does not have.
type ToolStatus struct {
	Tool     string  `json:"tool,omitempty"`
	Calls    int64   `json:"calls"`
	Failures int64   `json:"failures"`
	InFlight int64   `json:"inFlight"`
	P50MS    float64 `json:"p50Ms"`
	P99MS    float64 `json:"p99Ms"`
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// InstanceStatus is one instance of an agent.
type InstanceStatus struct {
	ID    string `json:"id"`
	State State  `json:"state"`
	// StateSince is when it came into this state.
	StateSince time.Time `json:"stateSince,omitzero"`
	PID        int       `json:"pid,omitempty"` // of a child process
	InFlight   int       `json:"inFlight"`
	Served     int64     `json:"served"`
	Restarts   int64     `json:"restarts"`
	Error      string    `json:"error,omitempty"`
	// LastLines are what its program wrote last to standard error before it ended. Like Error and
	// Unhealthy they are for who runs the process.
	LastLines []string `json:"lastLines,omitempty"`
	// LastCrash is how it, or its Runner, has ended last that should run on, since the process
	// began; nil: it has not. It is for who runs the process.
	LastCrash *Crash `json:"lastCrash,omitempty"`
	// Next is when it is tried again; zero: not, or now.
	Next time.Time `json:"next,omitzero"`
	// Unhealthy is what the agent itself reports to be wrong with it.
	Unhealthy string `json:"unhealthy,omitempty"`
	// Process, Host, Version and Since (when its process started) of an instance in another process
	// of the project.
	Process string    `json:"process,omitempty"`
	Host    string    `json:"host,omitempty"`
	Version string    `json:"version,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	// SilentMS is how long that process has not announced itself, which it does every 2 s. It may
	// be gone: the rest is what it said last. 0: it has announced itself.
	SilentMS int64 `json:"silentMs,omitempty"`
}

// A Crash is how an instance of an agent has ended, or its Runner, that should run on.
type Crash = crashes.Report

// shownTo is the status as a caller may read it. Texts of errors, and what programs wrote to
// standard error, are for those who run them; others get states and codes. A client of the gateway
// sees what the gateway offers.
func (s Status) shownTo(c *agent.Call, g *project.Gateway) Status {
	if c != nil && c.From.Trusted && c.From.Agent == child.Runtime && c.From.User == "" {
		return s
	}
	s.WaitsFor, s.Ops = "", ""
	if isClient(c) {
		s.Agents = slices.DeleteFunc(s.Agents, func(a AgentStatus) bool { return !exposes(g, a.Name, "") })
		for n := range s.Agents {
			s.Agents[n].hide(func(tool string) bool { return !exposes(g, s.Agents[n].Name, tool) })
		}
	}
	for n, a := range s.Agents {
		if a.LastFailure != nil {
			bare := *a.LastFailure
			bare.Message = ""
			s.Agents[n].LastFailure = &bare
		}
		for i := range a.Instances {
			a.Instances[i].Error, a.Instances[i].LastLines, a.Instances[i].Unhealthy = "", nil, ""
			a.Instances[i].LastCrash = nil
		}
	}
	return s
}

// hide takes tools out of what is known of an agent, and the agents that it waits for.
func (a *AgentStatus) hide(hidden func(tool string) bool) {
	a.WaitsFor = nil
	a.Tools = slices.DeleteFunc(a.Tools, hidden)
	a.ByTool = slices.DeleteFunc(a.ByTool, func(t ToolStatus) bool { return hidden(t.Tool) })
	a.Breakers = slices.DeleteFunc(a.Breakers, func(b BreakerStatus) bool { return hidden(b.Tool) })
	if a.LastFailure != nil && hidden(a.LastFailure.Tool) {
		a.LastFailure = nil
	}
}

// isClient reports whether a call comes from a client of the gateway, and not from an agent.
func isClient(c *agent.Call) bool { return c == nil || c.From.Agent == "" && !c.From.Trusted }

// exposes reports whether the gateway offers a member of an agent; empty: any of them, or all there
// is besides tools and prompts.
func exposes(g *project.Gateway, agentName, member string) bool {
	if g == nil || g.Expose == nil || agentName == child.Runtime || slices.Contains(g.Expose, agentName) {
		return true
	}
	return slices.ContainsFunc(g.Expose, func(entry string) bool {
		name, tool, ok := agent.SplitName(entry)
		return ok && name == agentName && (member == "" || member == tool)
	})
}

// statusOf looks at an agent as this process sees it.
func statusOf(c *route.Callee) AgentStatus {
	seen := c.Stats()
	st := AgentStatus{remote: c.Remote, Name: c.Name, Communicator: c.Over, Tools: toolNames(c.Info()),
		Calls: seen.Calls, Failures: seen.Failures, Retries: seen.Retries, BusyMS: seen.Busy.Milliseconds(),
		P50MS: ms(seen.Latency.Quantile(0.5)), P99MS: ms(seen.Latency.Quantile(0.99)), InFlight: c.UnderWay(),
		Waiting: c.Waiting(), State: StateReady}
	for _, b := range c.Breakers() {
		st.Breakers = append(st.Breakers, BreakerStatus{b.Tool, b.Instance, string(b.State), b.Since, b.Failed, b.All,
			b.Code, b.Next})
	}
	if seen.Last != nil {
		st.LastFailure = (*Failure)(seen.Last)
	}
	for _, t := range seen.Tools {
		st.ByTool = append(st.ByTool, ToolStatus{Tool: t.Tool, Calls: t.Calls, Failures: t.Failures,
			InFlight: t.InFlight, P50MS: ms(t.Latency.Quantile(0.5)), P99MS: ms(t.Latency.Quantile(0.99))})
	}
	up := 0
	for _, i := range c.Shown.Instances() {
		now := i.Look()
		is := InstanceStatus{ID: i.ID, State: State(now.State), StateSince: now.Since,
			InFlight: i.InFlight(), Served: i.Served(), Restarts: i.Restarts(), Next: now.Next}
		if err := c.Mask(now.Err); err != nil {
			is.Error = err.Error() + now.Until(c.Name)
			for _, line := range client.LastLines(now.Err) {
				is.LastLines = append(is.LastLines, c.Mask(errors.New(line)).Error())
			}
		}
		if p, ok := i.Session().(interface{ Pid() int }); ok {
			is.PID = p.Pid()
		}
		if is.State == StateReady {
			up++
		} else if up == 0 && st.State != StateIdle {
			st.State = is.State
		}
		st.Instances = append(st.Instances, is)
	}
	if up > 0 {
		st.State = StateReady
	}
	return st
}

// merge adds the instances in other processes. An agent that lives only there is shown by them
// alone, and not by our session to it.
func (a *AgentStatus) merge(elsewhere []InstanceStatus) {
	if len(elsewhere) == 0 {
		return
	}
	if a.remote {
		a.Instances = nil
	}
	a.Instances = append(a.Instances, elsewhere...)
}

func toolNames(info agent.Info) []string {
	names := make([]string, len(info.Tools))
	for i, t := range info.Tools {
		names[i] = t.Name
	}
	return names
}
