package nats

import (
	"strings"
	"testing"

	"github.com/openmas/openmas/communicator/communicatortest"
	"github.com/openmas/openmas/communicator/pubsub"
)

// Calls over NATS keep the contract, over TCP, with the caller's connection cut and held. Nothing
// is lacking.
func TestContract(t *testing.T) {
	b := testBroker(t)
	communicatortest.Run(t, communicatortest.Config{New: func(t *testing.T) communicatortest.Setup {
		p := communicatortest.NewProxy(t, strings.TrimPrefix(b.access.URL, "nats://"))
		far := b.options()
		far.URLs = []string{"nats://" + p.Addr}
		callee, caller := open(t, b.options()), open(t, far)
		limit := callee.MaxPayload()
		ends := [2]*pubsub.Communicator{}
		for i, d := range []*Driver{callee, caller} {
			c, err := pubsub.New(d, pubsub.Options{Project: "test"})
			if err != nil {
				t.Fatal(err)
			}
			ends[i] = c
		}
		return communicatortest.Setup{Communicator: ends[0], Caller: ends[1], Limit: limit, ResultLimit: limit,
			Sever: p.Sever, Hold: p.Hold}
	}})
}
