package nats

import (
	"time"

	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/backoff"
)

// The limits of this package. Those that a program or the project file may set are defaults here.
const (
	// headroom in bytes is what a message of NATS keeps free for metadata: each header costs four
	// bytes besides its name and value.
	headroom = 2 * pubsub.MaxMetadata
	// embeddedPayload in bytes lets inputs of 4 MiB through, as the in-memory driver does.
	embeddedPayload = 4<<20 + headroom

	defaultQueue      = 65536    // messages that wait for one subscription
	defaultQueueBytes = 64 << 20 // and their size
	defaultRedeliver  = 3
	defaultBackoff    = 10 * time.Millisecond
	maxBackoff        = 10 * time.Second

	dialTimeout  = 2 * time.Second
	flushTimeout = 5 * time.Second // for an answer of the broker
	// A connection that leaves three pings unanswered is lost: within a minute, where the defaults
	// of nats.go take six.
	pingEvery    = 15 * time.Second
	pingsMissed  = 3
	writeTimeout = 10 * time.Second
	// embeddedStart is how long a process of the project that starts the broker may take.
	embeddedStart = 10 * time.Second
	// lockLook is how often the process that runs the broker looks whether the state folder is
	// still the one that it has locked.
	lockLook = 2 * time.Second
)

// The limits of durable events.
const (
	defaultConcurrency     = 16
	defaultDurableAttempts = 5
	defaultDurableBackoff  = time.Second
	maxDurableBackoff      = time.Minute
	defaultAckWait         = 30 * time.Second
	defaultMaxAge          = 24 * time.Hour
	minDeadAge             = 30 * 24 * time.Hour
	defaultMaxBytes        = 1 << 30
	clusterReplicas        = 3
	// maxAckPending is how many events of one consumer may be in hand in all processes together.
	maxAckPending = 4096
	// A request for an event waits at the broker for pullExpiry. It reports itself every
	// pullHeartbeat: after two that are missing, the consumer is made anew.
	pullExpiry    = 30 * time.Second
	pullHeartbeat = time.Second
	// readyTimeout is how long a cluster may take to choose its leaders.
	readyTimeout = 15 * time.Second
	// streamTimeout bounds one attempt at making a stream.
	streamTimeout = 2 * time.Second
	// maxReason in bytes is how much of an error's text a dead-lettered event keeps.
	maxReason = 1000
)

// wantedWait is the least time between two attempts to reach the broker because something is to be
// sent.
const wantedWait = time.Second

// The waits between attempts to reach the broker. The embedded one has clients on its machine only:
// they may often ask whether another process runs it now. One that was there, and is lost, is tried
// within a second: a process that answers calls does not know that others wait for it.
var (
	brokerWaits = backoff.Policy{Initial: time.Second, Multiplier: 1.6, Max: 30 * time.Second, Jitter: 0.2}
	lostWaits   = backoff.Policy{Initial: 250 * time.Millisecond, Multiplier: 1.6, Max: 800 * time.Millisecond,
		Jitter: 0.2}
	embeddedWaits = backoff.Policy{Initial: 50 * time.Millisecond, Multiplier: 2, Max: 250 * time.Millisecond}
	consumerWaits = backoff.Policy{Initial: 500 * time.Millisecond, Multiplier: 2, Max: 5 * time.Second, Jitter: 0.2}
	streamWaits   = backoff.Policy{Initial: 100 * time.Millisecond, Multiplier: 2, Max: time.Second}
)
