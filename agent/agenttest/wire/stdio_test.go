package wire

import (
	"context"
	"log/slog"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/communicatortest"
)

// Pipes do what every communicator does.
func TestPipesContract(t *testing.T) {
	communicatortest.Run(t, communicatortest.Config{
		Lacks: communicatortest.Lacks{communicatortest.Connection: "the pipes are in this process"},
		New: func(t *testing.T) communicatortest.Setup {
			c := newPipes(context.WithoutCancel(t.Context()), slog.New(slog.DiscardHandler))
			return communicatortest.Setup{Communicator: c, Limit: 16<<20 - 64<<10, ResultLimit: 15 << 20}
		},
	})
}

// An agent that is not there is not waited for.
func TestPipesToNobody(t *testing.T) {
	c := newPipes(t.Context(), slog.New(slog.DiscardHandler))
	if _, err := c.Dial(t.Context(), "nobody"); agent.CodeOf(err) != agent.CodeNotFound {
		t.Error(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
