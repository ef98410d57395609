package server

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/openmas/openmas/communicator/communicatortest"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
)

// TestHTTPKeepsTheContract runs the suite of all communicators over both HTTP transports, through a
// proxy that can hold and cut.
func TestHTTPKeepsTheContract(t *testing.T) {
	if fixture.NoFastPath {
		t.Skip("difftest runs it without the fast path")
	}
	for _, tr := range []mcp.Transport{mcp.SSE, mcp.Streamable} {
		t.Run(string(tr), func(t *testing.T) {
			communicatortest.Run(t, communicatortest.Config{
				New: func(t *testing.T) communicatortest.Setup { return httpSetup(t, tr) },
			})
		})
	}
}

func httpSetup(t *testing.T, tr mcp.Transport) communicatortest.Setup {
	t.Helper()
	var base string
	o := Options{Logger: fixture.Quiet, Limits: Limits{MaxFrame: 3 << 20}}
	host, caller := newComm(t, tr, func() string { return base }, o), newComm(t, tr, func() string { return base }, o)
	srv := httptest.NewServer(host)
	proxy := communicatortest.NewProxy(t, srv.Listener.Addr().String())
	base = "http://" + proxy.Addr
	t.Cleanup(srv.Close)
	const limit = 4<<20 - 64<<10 // of client.Options
	return communicatortest.Setup{Communicator: host, Caller: caller, Limit: limit, ResultLimit: 2 << 20,
		Sever: proxy.Sever, Hold: proxy.Hold}
}

// comm is HTTP as a communicator, as the runtime has it.
type comm struct {
	*HTTP
	*client.Dialer
}

func newComm(t testing.TB, tr mcp.Transport, base func() string, o Options) *comm {
	t.Helper()
	o.Identify = tokens
	h, err := NewHTTP(o)
	if err != nil {
		t.Fatal(err)
	}
	return &comm{h, &client.Dialer{Transport: tr, BaseURL: base, Token: "!me", Options: client.Options{Logger: o.Logger,
		MaxFrame: o.Limits.MaxFrame, MaxBody: o.Limits.MaxBody, NoFastPath: o.NoFastPath}}}
}

func (c *comm) Close(ctx context.Context) error {
	return errors.Join(c.HTTP.Close(ctx), c.Dialer.Close(ctx))
}
