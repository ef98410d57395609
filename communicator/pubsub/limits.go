package pubsub

import (
	"time"

	"github.com/openmas/openmas/internal/bus"
)

// MaxMetadata is how many bytes of metadata, keys and values, a message of openmas may have.
const MaxMetadata = bus.MaxMetadata

// The limits of calls. Those that a program or the project file may set are defaults here.
const (
	defaultMaxInFlight = 64   // calls of one agent
	defaultQueue       = 1024 // calls of one agent that wait for that
	// dialTimeout bounds a Dial whose context has no deadline, cancelTimeout the sending of a
	// cancellation.
	dialTimeout   = 10 * time.Second
	cancelTimeout = time.Second
	// maxNotices is how many notices wait for the goroutine that made the call. Those that find no
	// room are dropped: they are best effort.
	maxNotices = 64
	// maxAsks is how many questions of one call its caller answers at once.
	maxAsks = 64
	// idleWorkers is how many goroutines a communicator keeps for calls to come: one that has run
	// before has a stack of the right size, which a new one first has to grow.
	idleWorkers = 64
	// maxPooled is how many metadata entries a message may have had to be used again.
	maxPooled = 64
)

// The limits of events, besides those of package delivery.
const (
	// The Router's own goroutines only have to run once more: handlers were waited for. This
	// bounds a hang.
	routerTimeout = 10 * time.Second
)

// The limits of the in-memory driver.
const (
	defaultMemoryQueue   = 1024 // messages that wait for one subscription
	defaultRedeliver     = 3
	defaultMemoryBackoff = 10 * time.Millisecond
	maxBackoff           = 10 * time.Second
	defaultMaxPayload    = 4 << 20 // bytes
	// closeGrace is how long a subscription that is closed still delivers what it had queued.
	closeGrace = time.Second
)
