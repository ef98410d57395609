package mcp

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/openmas/openmas/communicator/communicatortest"
)

// TestHTTPKeepsTheContract runs the suite of all communicators over both HTTP transports, through a
// proxy that can hold and cut.
func TestHTTPKeepsTheContract(t *testing.T) {
	if noExpress {
		t.Skip("this test runs without the express lane in any case")
	}
	for _, tr := range []Transport{SSE, Streamable} {
		for _, noExpress := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/express=%v", tr, !noExpress), func(t *testing.T) {
				communicatortest.Run(t, communicatortest.Config{
					New: func(t *testing.T) communicatortest.Setup { return httpSetup(t, tr, noExpress) },
				})
			})
		}
	}
}

func httpSetup(t *testing.T, tr Transport, noExpress bool) communicatortest.Setup {
	t.Helper()
	var base string
	o := HTTPOptions{Transport: tr, BaseURL: func() string {
		return base
	}, Token: "!me", HostOptions: HostOptions{NoExpress: noExpress, Identify: tokens,
		Logger: slog.New(slog.DiscardHandler), Limits: Limits{MaxFrame: 3 << 20}}}
	host, err := NewHTTP(o)
	if err != nil {
		t.Fatal(err)
	}
	caller, err := NewHTTP(o)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(host)
	proxy := communicatortest.NewProxy(t, srv.Listener.Addr().String())
	base = "http://" + proxy.Addr
	t.Cleanup(srv.Close)
	limit := (ConnectOptions{MaxFrame: 3 << 20}).withDefaults().inputLimit(tr)
	return communicatortest.Setup{Communicator: host, Caller: caller, Limit: limit, ResultLimit: 2 << 20,
		Sever: proxy.Sever, Hold: proxy.Hold}
}
