package communicatortest_test

import (
	"testing"

	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/communicator/communicatortest"
	"github.com/openmas/openmas/communicator/pubsub"
)

// The test of a communicator. Its two ends are what two processes would have.
func ExampleRun() {
	_ = func(t *testing.T) { // func TestContract(t *testing.T)
		communicatortest.Run(t, communicatortest.Config{
			New: func(t *testing.T) communicatortest.Setup {
				broker := pubsub.NewMemory(pubsub.MemoryOptions{})
				t.Cleanup(func() { _ = broker.Close() })
				var ends [2]communicator.Communicator
				for i := range ends {
					c, err := pubsub.New(broker, pubsub.Options{Project: "contract"})
					if err != nil {
						t.Fatal(err)
					}
					ends[i] = c
				}
				return communicatortest.Setup{
					Communicator: ends[0], Caller: ends[1],
					Limit: broker.MaxPayload(), ResultLimit: broker.MaxPayload(),
				}
			},
			Lacks: communicatortest.Lacks{communicatortest.Connection: "the broker is in this process"},
		})
	}
}
