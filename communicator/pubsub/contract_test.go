package pubsub

import (
	"testing"

	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/communicator/communicatortest"
)

// The contract, over the driver in memory and over the same as plain watermill; the caller is
// another process than the callee.
func TestContract(t *testing.T) {
	for name, wrap := range map[string]func(Driver) Driver{
		"memory":   func(d Driver) Driver { return d },
		"channels": func(d Driver) Driver { return plain{d} },
	} {
		t.Run(name, func(t *testing.T) {
			communicatortest.Run(t, communicatortest.Config{
				New: func(t *testing.T) communicatortest.Setup {
					memory := NewMemory(MemoryOptions{})
					t.Cleanup(func() { memory.Close() })
					setup := communicatortest.Setup{Limit: memory.MaxPayload(), ResultLimit: memory.MaxPayload()}
					for _, c := range []*communicator.Communicator{&setup.Communicator, &setup.Caller} {
						p, err := New(wrap(memory), Options{Project: "contract"})
						if err != nil {
							t.Fatal(err)
						}
						*c = p
					}
					return setup
				},
				Lacks: communicatortest.Lacks{communicatortest.Connection: "the broker is in this process"},
			})
		})
	}
}
