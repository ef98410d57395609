// Package wire runs the same test of agents over each communicator:
//
//	func TestDesk(t *testing.T) {
//		wire.Each(t, func(t *testing.T, over agenttest.Option) {
//			sys := agenttest.Run(t, agenttest.Agents{"desk": &Desk{}}, over)
//			...
//		})
//	}
//
// Calls go through the communicator as they do between processes: each is encoded, sent, and
// decoded. NATS and HTTP listen on the loopback address, [Stdio] is a pair of pipes. Events, and
// what the test itself records, stay in the process. Over real connections there is no virtual
// time: only [Local] and [PubSub] work inside testing/synctest.
//
// The agents stay in the test's process over every kind, also over [Stdio]: a child process would
// have agents of its own, and the scripts of the test, what it expects, and the structs that it
// looks into would be out of reach. So a test does not see what only a process of its own shows:
// that a config arrives there, that its standard output is kept for the protocol, or how it dies.
// For that, start the program with package mcptest, or run a project with runtime.New.
package wire

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/communicator/nats"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/server"
)

// A Kind is a way for calls to travel, by the word that the project file has for it.
type Kind string

// The kinds. PubSub has the broker in memory, NATS an embedded server.
const (
	Local  Kind = "local"
	PubSub Kind = "pubsub"
	NATS   Kind = "nats"
	Stdio  Kind = "mcp-stdio"
	SSE    Kind = "mcp-sse"
	HTTP   Kind = "mcp-http"
)

const project = "test"

// Each runs the test over each of the kinds, or over all without any, in subtests.
func Each(t *testing.T, test func(t *testing.T, over agenttest.Option), kinds ...Kind) {
	t.Helper()
	if len(kinds) == 0 {
		kinds = []Kind{Local, PubSub, NATS, Stdio, SSE, HTTP}
	}
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) { test(t, Over(t, k)) })
	}
}

// Over is the option that has the calls of one System travel in this way.
func Over(t testing.TB, k Kind) agenttest.Option {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	switch k {
	case Local:
		return agenttest.Over(communicator.NewLocal())
	case PubSub:
		memory := pubsub.NewMemory(pubsub.MemoryOptions{})
		return overBroker(t, memory, memory.Close)
	case NATS:
		driver, err := nats.Open(t.Context(), nats.Options{Project: project, StateDir: t.TempDir(), Logger: log})
		if err != nil {
			t.Fatalf("wire: the embedded NATS server: %v", err)
		}
		return overBroker(t, driver, driver.Close)
	case Stdio:
		return agenttest.Over(newPipes(context.WithoutCancel(t.Context()), log))
	case SSE:
		return overHTTP(t, mcp.SSE, log)
	case HTTP:
		return overHTTP(t, mcp.Streamable, log)
	}
	t.Fatalf("wire: there is no kind %q", k)
	return nil
}

func overBroker(t testing.TB, driver pubsub.Driver, end func() error) agenttest.Option {
	t.Helper()
	t.Cleanup(func() { // after the System
		if err := end(); err != nil {
			t.Errorf("wire: close the broker: %v", err)
		}
	})
	c, err := pubsub.New(driver, pubsub.Options{Project: project})
	if err != nil {
		t.Fatalf("wire: %v", err)
	}
	return agenttest.Over(c)
}

// web is HTTP as a communicator.
type web struct {
	*server.HTTP
	*client.Dialer
}

// Close implements [communicator.Communicator].
func (c web) Close(ctx context.Context) error {
	return errors.Join(c.Dialer.Close(ctx), c.HTTP.Close(ctx))
}

func overHTTP(t testing.TB, transport mcp.Transport, log *slog.Logger) agenttest.Option {
	t.Helper()
	host, err := server.NewHTTP(server.Options{Logger: log, Identify: func(*http.Request) (server.Identity, error) {
		// who calls is in the call, as between the processes of a project
		return server.Identity{Identity: agent.Identity{Agent: agenttest.Caller, Trusted: true}, Relays: true}, nil
	}})
	if err != nil {
		t.Fatalf("wire: %v", err)
	}
	listener := httptest.NewServer(host)
	t.Cleanup(listener.Close)
	return agenttest.Over(web{host, &client.Dialer{Transport: transport, BaseURL: func() string { return listener.URL },
		Options: client.Options{Logger: log}}})
}
