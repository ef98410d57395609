package pubsub

import (
	"maps"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/internal/bus"
)

// copying is a driver that keeps a copy of the last message.
type copying struct {
	Driver
	got *message.Message
}

func (l *copying) Publish(_ string, messages ...*message.Message) error {
	l.got = messages[0].Copy()
	return nil
}

// A message that is used again has nothing of what it was before.
func TestMessagesServeAgain(t *testing.T) {
	l := &copying{Driver: NewMemory(MemoryOptions{})}
	c := &link{driver: l}
	large := bus.Frame{Kind: bus.KindCall, Ref: "r", Key: "k",
		Meta: map[string]string{"a": strings.Repeat("x", MaxMetadata)}}
	frames := []bus.Frame{
		{Kind: bus.KindCall, Ref: "r-1", Op: "tool", Agent: "a", Name: "n", Key: "k", Depth: 2, Attempt: 3, Back: true,
			Meta: map[string]string{"x": "y"}, Payload: []byte(`{"a":1}`)},
		{Kind: bus.KindReply, Ref: "r-1", Body: bus.BodyStructured, Payload: []byte(`1`)},
		{Kind: bus.KindCancel, Ref: "r-2"},
	}
	for range 20 { // the pool may lose some
		if err := c.send(t.Context(), "s", &large, 0); err == nil {
			t.Fatal("metadata over the limit was sent")
		}
		for _, f := range frames {
			want, refused := f.Encode(0)
			if refused != nil {
				t.Fatal(refused)
			}
			if err := c.send(t.Context(), "s", &f, 0); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(l.got.Metadata, want.Metadata) || string(l.got.Payload) != string(want.Payload) ||
				l.got.UUID != want.UUID {
				t.Fatalf("got %s %v %s, want %s %v %s", l.got.UUID, l.got.Metadata, l.got.Payload, want.UUID,
					want.Metadata, want.Payload)
			}
		}
	}
}
