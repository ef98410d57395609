// Package child is a child process of the runtime, and the protocol between it and its parent: the
// line that it reads first, and a few events besides MCP.
package child

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/guard"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/internal/supervise"
	"github.com/openmas/openmas/runtime/project"
)

// Runtime is the runtime as an agent: its children publish events by delivering them to it.
const Runtime = "openmas"

// FromRuntime is who makes the calls of the runtime itself.
var FromRuntime = agent.Identity{Agent: Runtime, Trusted: true}

// Topics between a runtime and its children; no event of an agent has them.
const (
	TopicRun    = "openmas.run"    // to a child: every agent is up, run your Runner
	TopicHealth = "openmas.health" // to a child: is your agent healthy?
	TopicLog    = "openmas.log"    // to a child: log from this level on
	TopicRunner = "openmas.runner" // from a child: the state of its Runner
)

// RunnerStatus is the payload of TopicRunner.
type RunnerStatus struct {
	Instance string          `json:"instance"`
	State    supervise.State `json:"state"`
	Error    string          `json:"error,omitempty"`
	// Stack is that of a panic, Restarts and Wait are those of a [supervise.Status].
	Stack    string        `json:"stack,omitempty"`
	Restarts int           `json:"restarts,omitempty"`
	Wait     time.Duration `json:"wait,omitempty"`
}

// Version changes when a child could misread its hello. Parent and child are the same program,
// so that this guards against an executable that was replaced in between.
const Version = 1

// maxHello bounds the line; the config of an agent is in it.
const maxHello = 4 << 20

// A Hello is the line of JSON that a child reads before MCP begins: who it is and where to call
// back. It holds secrets.
type Hello struct {
	Version int        `json:"openmas"`
	Guard   guard.Mark `json:"guard,omitempty"` // not an agent: the guard of those with the mark
	// Describe: not an agent either. The program writes its Answers and ends.
	Describe  map[string]Question `json:"describe,omitempty"`
	Program   string              `json:"program,omitempty"`
	Project   string              `json:"project"`
	Process   string              `json:"process"` // the parent's
	Secrets   []string            `json:"secrets,omitempty"`
	Agent     string              `json:"agent"`
	Instance  string              `json:"instance"`
	Type      string              `json:"type"`
	Config    map[string]any      `json:"config,omitempty"`
	StateDir  string              `json:"stateDir"`
	State     string              `json:"state,omitempty"` // of the project, for recent traces; empty: none
	Dir       string              `json:"dir"`
	Broker    string              `json:"broker"`
	URL       string              `json:"url"`
	Token     string              `json:"token"`
	Timeout   time.Duration       `json:"timeout"` // of the calls that the child makes
	Run       bool                `json:"run"`     // whether its Runner is to run
	Restart   supervise.Policy    `json:"restart"`
	Telemetry project.Telemetry   `json:"telemetry"`
	// ExportHeaders are sent with each export; they are not in the child's environment, where its
	// own child processes would find them.
	ExportHeaders map[string]string `json:"exportHeaders,omitempty"`
	LogLevel      slog.Level        `json:"logLevel"`
	Limits        server.Limits     `json:"limits"`
	NoFastPath    bool              `json:"noFastPath,omitempty"`
}

// A Question is about an agent that is to run in a program: what it offers and needs.
type Question struct {
	Type   string         `json:"type"`
	Config map[string]any `json:"config,omitempty"`
}

// An Answer describes one agent of a program.
type Answer struct {
	Info     agent.Info `json:"info"`
	Requires []string   `json:"requires,omitempty"`
	Runner   bool       `json:"runner,omitempty"`
	Healther bool       `json:"healther,omitempty"`
	// Unknown: the program has no such type.
	Unknown bool `json:"unknown,omitempty"`
	// Config is what is wrong with the configuration, without positions; Error is anything else.
	Config project.Errors `json:"config,omitempty"`
	Error  string         `json:"error,omitempty"`
}

// Answers are those of a program to all questions, by agent, and the types that it has.
type Answers struct {
	Types  []string          `json:"types"`
	Agents map[string]Answer `json:"agents"`
}

// ReadHello reads the line and leaves what follows in the reader that it returns.
func ReadHello(in io.Reader) (Hello, io.Reader, error) {
	br := bufio.NewReaderSize(in, 64<<10)
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			var h Hello
			if err := json.Unmarshal(line, &h); err != nil {
				return h, nil, fmt.Errorf("read the parent's hello: %w", err)
			}
			if h.Version != Version {
				return h, nil, fmt.Errorf("the parent speaks version %d of the child protocol, this program %d: was "+
					"the executable replaced while it ran?", h.Version, Version)
			}
			return h, br, nil
		case len(line) > maxHello:
			return Hello{}, nil, fmt.Errorf("the parent's hello is over %d bytes", maxHello)
		case !errors.Is(err, bufio.ErrBufferFull):
			return Hello{}, nil, fmt.Errorf("read the parent's hello from stdin: %w", err)
		}
	}
}
