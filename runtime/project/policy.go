package project

import (
	"time"
)

// Policy is how a call is made. Zero fields are inherited: a tool's from its agent, an agent's from
// the project's defaults. See [Config.PolicyFor].
type Policy struct {
	// Deadline of a call, its retries included.
	Timeout time.Duration `yaml:"timeout" default:"30s"`
	// How a call is repeated where that is safe. "off" is one attempt.
	Retry Retry `yaml:"retry" off:"attempts"`
	// Whether a tool may run twice when nobody knows if a call has run. This counts more than what
	// the tool declares. Left out: what the tool declares, if its agent is trusted.
	Idempotent *bool `yaml:"idempotent"`
}

// Retry is exponential backoff with full jitter.
type Retry struct {
	// How often a call is made, the first attempt included. See docs/errors.md for what is
	// repeated.
	Attempts int `yaml:"attempts" default:"3" min:"1" max:"100" off:"1"`
	// Longest wait before the second attempt. The wait is random, up to this.
	Initial time.Duration `yaml:"initial" default:"100ms"`
	// How much longer the longest wait is before each further attempt.
	Multiplier float64 `yaml:"multiplier" default:"2" min:"1" max:"1000"`
	// The longest wait does not grow beyond this.
	Max time.Duration `yaml:"max" default:"10s"`
}
