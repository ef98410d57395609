package runtime

import (
	"errors"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/internal/route"
)

// State is what an instance of an agent is doing, or its Runner.
type State string

// The states of an instance.
const (
	StateStarting   State = "starting"
	StateReady      State = "ready"
	StateRestarting State = "restarting" // or being reconnected
	StateBackoff    State = "backoff"    // failed too often in a row; waits
	StateFailed     State = "failed"     // given up, or could not start: see InstanceStatus.Next
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
	Name         string           `json:"name"`
	Communicator string           `json:"communicator"`
	State        State            `json:"state"`
	Tools        []string         `json:"tools"`
	Calls        int64            `json:"calls"`
	Failures     int64            `json:"failures"`
	Retries      int64            `json:"retries"`
	BusyMS       int64            `json:"busyMs"` // time that callers waited, all calls added up
	Instances    []InstanceStatus `json:"instances"`
	Runner       State            `json:"runner,omitempty"`
	// WaitsFor are the agents and tools that it requires and that are not there yet.
	WaitsFor []string `json:"waitsFor,omitempty"`

	remote bool
}

// InstanceStatus is one instance of an agent.
type InstanceStatus struct {
	ID       string `json:"id"`
	State    State  `json:"state"`
	PID      int    `json:"pid,omitempty"` // of a child process
	InFlight int    `json:"inFlight"`
	Served   int64  `json:"served"`
	Restarts int64  `json:"restarts"`
	Error    string `json:"error,omitempty"`
	// LastLines are what its program wrote last to standard error before it ended. The tool
	// openmas.status gives them to this program only.
	LastLines []string `json:"lastLines,omitempty"`
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
}

// shownTo is the status as a caller may read it: what programs wrote to standard error is for those
// who run them.
func (s Status) shownTo(c *agent.Call) Status {
	if c != nil && c.From.Trusted && c.From.Agent == child.Runtime && c.From.User == "" {
		return s
	}
	s.WaitsFor = ""
	for _, a := range s.Agents {
		for i := range a.Instances {
			a.Instances[i].LastLines = nil
		}
	}
	return s
}

// statusOf looks at an agent as this process sees it.
func statusOf(c *route.Callee) AgentStatus {
	seen := c.Stats()
	st := AgentStatus{remote: c.Remote, Name: c.Name, Communicator: c.Over, Tools: toolNames(c.Info()),
		Calls: seen.Calls, Failures: seen.Failures, Retries: seen.Retries, BusyMS: seen.Busy.Milliseconds(),
		State: StateReady}
	up := 0
	for _, i := range c.Shown.Instances() {
		now := i.Look()
		is := InstanceStatus{ID: i.ID, State: State(now.State), InFlight: i.InFlight(), Served: i.Served(),
			Restarts: i.Restarts(), Next: now.Next}
		if err := c.Mask(now.Err); err != nil {
			is.Error = err.Error()
			for _, line := range client.LastLines(now.Err) {
				is.LastLines = append(is.LastLines, c.Mask(errors.New(line)).Error())
			}
		}
		if p, ok := i.Session().(interface{ Pid() int }); ok {
			is.PID = p.Pid()
		}
		if is.State == StateReady {
			up++
		} else if up == 0 {
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
