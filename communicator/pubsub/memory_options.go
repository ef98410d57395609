package pubsub

import (
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// MemoryOptions configures a [Memory]. The zero value is all defaults.
type MemoryOptions struct {
	// Queue is how many messages wait for one subscription. Default 1024.
	Queue int
	// Redeliver is how often a message that was nacked is delivered again before it is
	// dead-lettered. Default 3; negative: never.
	Redeliver int
	// Backoff is the time before the first redelivery, doubled with each, at most 10 s. Default 10
	// ms.
	Backoff time.Duration
	// MaxPayload in bytes. Default 4 MiB; negative: no limit.
	MaxPayload int
	// OnDeadLetter gets the messages that were accepted and will not be delivered any more: nacked
	// too often, or queued at a subscription that was closed. It must be quick and may be called
	// concurrently. Default: a line in the log.
	OnDeadLetter func(topic string, m *message.Message, reason error)
	// Logger defaults to one that discards.
	Logger *slog.Logger
}

func (o MemoryOptions) withDefaults() MemoryOptions {
	if o.Queue <= 0 {
		o.Queue = defaultMemoryQueue
	}
	if o.Redeliver == 0 {
		o.Redeliver = defaultRedeliver
	}
	if o.Backoff <= 0 {
		o.Backoff = defaultMemoryBackoff
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = defaultMaxPayload
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OnDeadLetter == nil {
		o.OnDeadLetter = func(topic string, m *message.Message, reason error) {
			o.Logger.Warn("a message was dead-lettered", "topic", topic, "message", m.UUID, "reason", reason)
		}
	}
	return o
}
