package communicator_test

import (
	"context"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
)

// direct is a directory of one peer.
type direct struct{ communicator.Peer }

func (d direct) Agents() []agent.Info            { return []agent.Info{d.Info()} }
func (d direct) Agent(string) (agent.Info, bool) { return d.Info(), true }

func BenchmarkLocalAsk(b *testing.B) {
	type in struct {
		Name string `json:"name"`
		Days int    `json:"days"`
	}
	type out struct {
		City  string    `json:"city"`
		Highs []float64 `json:"highs"`
	}
	h, err := agent.NewHost(agent.Env{Name: "weather"}, agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("forecast", "", func(_ context.Context, c in) (out, error) {
			return out{c.Name, []float64{20.5, 21}}, nil
		}),
	}})
	if err != nil {
		b.Fatal(err)
	}
	local := communicator.NewLocal()
	if _, err := local.Serve(b.Context(), h); err != nil {
		b.Fatal(err)
	}
	peer, err := local.Dial(b.Context(), "weather")
	if err != nil {
		b.Fatal(err)
	}
	ctx := agent.WithEnv(b.Context(), agent.Env{Name: "me", Directory: direct{peer}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := agent.Ask[out](ctx, "weather.forecast", in{"Bern", 2}); err != nil {
			b.Fatal(err)
		}
	}
}
