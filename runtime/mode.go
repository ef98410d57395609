package runtime

import (
	"errors"
	"fmt"

	"github.com/openmas/openmas/runtime/project"
)

// A Mode is what a process does for its project:
//
//	              hosts                     gateway's listener   Runners   Run returns
//	ModeServe     Options.Only, else all    yes                  yes       when its context ends
//	ModeOnce      Options.Only, else all    yes                  yes       when every Runner has ended
//	ModePassive   Options.Only, else all    no                   no        when its context ends
//	ModeObserve   nothing                   no                   no        when its context ends
//
// In every mode the context's end, or the failure of a critical agent, ends the run. Options.Only
// and ModeObserve need a broker that other processes reach: [New] refuses them with the memory
// broker, and Options.Only with ModeObserve.
type Mode int

const (
	// ModeServe runs the project.
	ModeServe Mode = iota
	// ModeOnce runs the project as a job that has an end.
	ModeOnce
	// ModePassive is for a program that wants to call the agents and nothing else.
	ModePassive
	// ModeObserve reaches what other processes of the project host. It is ready when those that run
	// have reported: half a second after the last one, or a second after the start.
	ModeObserve
)

// calm: without the gateway's listener and the Runners.
func (m Mode) calm() bool { return m == ModePassive || m == ModeObserve }

// check refuses what the table of [Mode] rules out.
func (o Options) check(cfg *project.Config) error {
	memory := cfg.Broker.Type == project.BrokerMemory
	switch {
	case o.Mode < ModeServe || o.Mode > ModeObserve:
		return fmt.Errorf("there is no mode %d", o.Mode)
	case o.Mode == ModeObserve && len(o.Only) > 0:
		return errors.New("a process that observes hosts nothing, and so no agents alone")
	case len(o.Only) > 0 && memory:
		return errors.New("--agents hosts a part of the project, which needs a broker that other processes can " +
			"reach; the memory broker is this process's own")
	case o.Mode == ModeObserve && memory:
		return errors.New("there is nothing to observe: the memory broker is this process's own, and other " +
			"processes cannot be reached over it")
	}
	return nil
}
