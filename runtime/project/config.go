// Package project is the project file: which agents there are, how each is reached, and what the
// runtime may do for them.
//
// [Find] finds the file of a folder, [Load] reads it with its layers (defaults, the file, a
// profile, the environment, --set), checks all of it and returns a [Config], or every problem at
// once as [Errors], each with its file, line and column. [Print] writes the effective
// configuration, [Schema] returns what editors need to complete it, and [Fill] sets an agent's
// fields from its config block. A Config can be made in Go as well: [Config.Complete] fills in its
// defaults and checks it.
//
// A key is declared once, by the struct field that holds it: its type, and in tags its name, its
// default, its bounds, whether it can be off, and for which agents it is. The first paragraph of
// its comment says what it means. Decoding, checks, defaults, Print, the schema and the tables in
// docs/reference/project-file.md follow from that; go test ./runtime/project -update writes the
// last two anew. What keys demand of each other stands in the validator's methods: beside the
// struct where they are of one section, else in validate.go.
//
//	yaml.go, set.go   what was written becomes nested maps of leaves, which know their places
//	tree.go           the layers are laid over each other
//	expand.go         ${env:X} and ${file:X}
//	decode.go         each value is set, once
//	defaults.go       what nobody set gets its default
//	validate.go       what is declared, and what keys demand of each other, is checked
package project

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Config is a project: its agents and how they are run. [Load] reads one from YAML, but it is an
// ordinary struct: a literal with the zero value for every default will do. In it zero means "the
// default", and what can be off is [Off]; in a file a key is left out, and says off. A Config must
// not be changed once a runtime has it.
type Config struct {
	// Name of the project, by which processes that share a broker find each other: lower-case
	// letters, digits and hyphens, a letter first, at most 32.
	Project string `yaml:"project" default:"openmas"`
	// Folder of the Go main package with the agents' types. The openmas command builds this program
	// and becomes it. Left out: nothing is built.
	Package string `yaml:"package"`
	// Folder for what the agents and the runtime keep. Left out: `.openmas/` and the project's
	// name, in the folder of the project file, so projects there keep nothing in common.
	State string `yaml:"state"`

	// Agents by name: lower-case letters, digits and hyphens, a letter first, at most 32.
	Agents map[string]Agent `yaml:"agents"`
	// The policy of every call where its agent and tool do not say otherwise.
	Defaults Policy `yaml:"defaults"`
	// The broker carries calls to agents over pubsub, and all events.
	Broker Broker `yaml:"broker"`
	// What is particular to the events of single topics, by topic.
	Events map[string]Event `yaml:"events"`
	// The public MCP listener. Left out: there is none.
	Gateway *Gateway `yaml:"gateway" off:""`
	// The listener for probes and scrapers. Left out: there is none.
	Ops *Ops `yaml:"ops" off:""`
	// Where traces, metrics and logs go. "off" sends nothing, whatever the environment says.
	Telemetry Telemetry `yaml:"telemetry" off:"endpoint"`
	// What is kept of the log, for "openmas logs".
	Log Log `yaml:"log" off:"size"`
	// Limits of the MCP endpoints of this process, and what MCP servers may ask of it.
	MCP MCP `yaml:"mcp"`
	// How much of what clients send and get may wait in memory.
	Limits Limits `yaml:"limits"`

	// The start of agents.
	Start Start `yaml:"start"`
	// The first contact with a url.
	Connect Connect `yaml:"connect"`
	// The waits between attempts to reach a lost agent again, for ever.
	Reconnect Reconnect `yaml:"reconnect"`
	// How often a Runner or a child process that ends is started again.
	Restart Restart `yaml:"restart"`
	// How a child process is stopped.
	Child Child `yaml:"child"`
	// An orderly stop.
	Drain Drain `yaml:"drain"`

	// Dir is the absolute folder that relative paths start from: the project file's. Empty: the
	// working directory.
	Dir string `yaml:"-"`
	// File is the project file as it was named to Load, or "".
	File string `yaml:"-"`

	written  *tree             // where each value came from; nil without Load
	expanded []string          // what references put in: secrets
	redactor *strings.Replacer // what Redact does; nil: there are no secrets
}

// Telemetry says where traces, metrics and logs are sent. What is left out is taken from the
// standard OTEL_EXPORTER_OTLP_ environment variables; without an endpoint nothing is sent.
type Telemetry struct {
	// Receiver of traces, metrics and logs over OTLP: a URL or host:port. Left out: what the
	// standard environment variables OTEL_EXPORTER_OTLP_… say. Without them nothing is sent.
	Endpoint string `yaml:"endpoint" off:"off"`
	// OTLP over HTTP with protobuf, or over gRPC. Left out: what these variables say, else "http".
	Protocol string `yaml:"protocol" oneof:"http grpc"`
	// What is a service in the traces: each agent, or each process. The variable OTEL_SERVICE_NAME
	// makes it each process, under that name.
	Service string `yaml:"service" default:"agent" oneof:"agent process"`
	// What is recorded of the content of calls: nothing, the messages of errors and the stacks of
	// panics, or arguments and results as well. Secrets of the project file are masked, and long
	// texts are cut.
	Content string `yaml:"content" default:"errors" oneof:"none errors all"`
	// Sends the log there as well, from the level of log.level on. Each line belongs to its agent's
	// service and to the trace that it names.
	Logs bool `json:",omitempty" yaml:"logs"`
	// How large the files with recent traces become, in the folder "traces" of the state folder:
	// "openmas trace" shows them. Left out: 64 MiB where traces are sent to a receiver, else there
	// are none.
	Recent Size `json:",omitempty" yaml:"recent" min:"64KiB" off:"-1"`
}

// Log is what is kept of the log in files, besides what the command shows of it. They are in the
// folder "logs" of the state folder; `openmas logs` reads them.
type Log struct {
	// How large the files of all processes together become. The oldest are removed. "off" keeps
	// none.
	Size Size `yaml:"size" default:"64MiB" min:"64KiB" off:"-1"`
	// How many files there are: each process has its own, and a new one after an eighth of the
	// size.
	Files int `yaml:"files" default:"200" min:"2" max:"10000"`
	// After how long a file is removed that nothing is written to.
	Age time.Duration `yaml:"age" default:"168h"`
	// The least level of lines that are kept.
	Level string `yaml:"level" default:"info" oneof:"trace debug info warn error"`
}

// ServicePerProcess is the word for one service per process.
const ServicePerProcess = "process"

// StartTimeout returns how long the start of an agent may take.
func (c *Config) StartTimeout(agent string) time.Duration {
	return cmp.Or(c.Agents[agent].Start.Timeout, c.Start.Timeout)
}

// String names the project, not its values: some of them are secrets.
func (c *Config) String() string {
	return fmt.Sprintf("project %s (%d agents)", c.Project, len(c.Agents))
}

// AgentNames returns the agents' names in the order of the project file; those that it does not
// list come last, by name.
func (c *Config) AgentNames() []string {
	names := sortedKeys(c.Agents)
	if c.written != nil {
		slices.SortStableFunc(names, func(a, b string) int {
			return c.written.order("agents", a) - c.written.order("agents", b)
		})
	}
	return names
}
