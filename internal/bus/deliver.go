package bus

import (
	"context"
	"errors"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Why a subscriber has not acknowledged a message.
var (
	ErrNotTaken = errors.New("it was not taken")
	ErrNacked   = errors.New("nacked too often")
	ErrEnded    = errors.New("the subscription was closed before it was acknowledged")
)

// Deliver sends m to a subscriber and waits until it is acknowledged, or ctx ends. m's context ends
// with it.
func Deliver(ctx context.Context, m *message.Message, out chan<- *message.Message) error {
	mctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.SetContext(mctx)
	select {
	case out <- m:
	case <-ctx.Done():
		return ErrNotTaken
	}
	select {
	case <-m.Acked():
		return nil
	case <-m.Nacked():
		return ErrNacked
	case <-ctx.Done():
	}
	select { // acknowledged and closed at once: it was handled
	case <-m.Acked():
		return nil
	default:
		return ErrEnded
	}
}
