package communicatortest

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openmas/openmas/communicator"
)

// Config says what is tested.
type Config struct {
	// New makes the two ends for one subtest; it is called once in each. What else it starts, it
	// ends with t.Cleanup, which runs after the suite has closed both ends.
	New func(t *testing.T) Setup
	// Lacks declares what the communicator cannot do.
	Lacks Lacks
	// Timeout bounds every wait: for a call, an event, a condition. It is there to end a test that
	// hangs, and asserts no speed. Default 30 s.
	Timeout time.Duration
	// Goroutines are goleak options for goroutines that may outlive a subtest. Those that exist
	// before the subtest are ignored anyway.
	Goroutines []goleak.Option
}

// A Setup is a fresh communicator for one subtest, with its callers and callees in one process.
type Setup struct {
	// Communicator serves the agents of the test. The suite closes it.
	Communicator communicator.Communicator
	// Caller is the end that dials, where that is another one than Communicator: another connection
	// to the broker, a client. The suite closes it first.
	Caller communicator.Communicator
	// Limit is how many bytes of [agent.Call.Input] still pass: one more is refused. 0 only with
	// [InputLimit] in Lacks.
	Limit int
	// ResultLimit is how many bytes of [agent.Result.Structured] surely pass; a result of twice as
	// many does not. 0 only with [ResultLimit] in Lacks.
	ResultLimit int
	// Sever cuts every connection between the ends, at once and without notice, as the end of a
	// killed process does. What is held back is lost, and a Hold is over. Later connections work.
	// It may be called more than once. nil only with [Connection] in Lacks.
	Sever func()
	// Hold keeps back what is sent in that direction from now on, until Sever; the sender does not
	// notice. The channel closes when the first bytes are held. nil only with [Holding] (or
	// Connection) in Lacks.
	Hold func(Direction) <-chan struct{}
}

// A Direction of the bytes between two ends.
type Direction int

// The directions.
const (
	ToCallee Direction = iota
	ToCaller
)

// A Feature is something that the nature of a communicator may rule out.
type Feature string

// The features.
const (
	// Connection: there is something between the ends that can be lost.
	Connection Feature = "a connection"
	// Holding: the test can hold back what is sent.
	Holding Feature = "holding back what is sent"
	// InputLimit: the size of a call's input is limited.
	InputLimit Feature = "a limit of input size"
	// ResultLimit: the size of a result is limited.
	ResultLimit Feature = "a limit of result size"
	// CallerLeaves: a caller gets its answer at the deadline although the tool ignores its context.
	CallerLeaves Feature = "leaving a tool that ignores its context"
	// OrphanCancel: a tool's context ends when the connection to its caller is lost.
	OrphanCancel Feature = "cancelling a tool whose caller is gone"
	// Pending: a result may ask for input ([agent.Result.Pending]) and the call be repeated with
	// it.
	Pending Feature = "results that ask for input"
	// AnyStructured: a structured value that is no object arrives as a structured value. Without
	// it, it arrives as JSON text, and decodes alike into anything but a string.
	AnyStructured Feature = "structured values that are no objects"
	// Subscriptions: the Info of a peer lists what it listens to.
	Subscriptions Feature = "listing subscriptions"
)

// Features lists every feature.
func Features() []Feature {
	return []Feature{Connection, Holding, InputLimit, ResultLimit, CallerLeaves, OrphanCancel, Pending, AnyStructured,
		Subscriptions}
}

// Lacks maps what a communicator cannot do to the reason, which every skipped test prints.
type Lacks map[Feature]string
