package client

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/child"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// dialHTTP starts the server, if it is to be started, and prepares the way to it.
func dialHTTP(ctx context.Context, t Target, o Options, st *steps) (*link, error) {
	l := &link{}
	announced := ""
	if len(t.Command) > 0 {
		p, err := launch(ctx, t, o, child.Spec{Ready: child.SSEURL})
		if err != nil {
			return nil, err
		}
		l.child = p
		st.next("announce its address with " + mcp.SSEURL + "http://host:port")
		if announced, err = p.Ready(ctx); err != nil {
			return l, err
		}
	}
	endpoint, err := t.Endpoint(announced)
	if err != nil {
		return l, err
	}
	if l.endpoint, err = url.Parse(endpoint); err != nil {
		return l, err
	}
	if l.child != nil {
		st.next("open the port that it announced")
		if err := awaitListener(ctx, endpoint, l.child); err != nil {
			return l, err
		}
	}
	header := http.Header{}
	for k, v := range t.Headers {
		header.Set(k, v)
	}
	if l.client, err = wire.NewHTTPClient(wire.HTTPOptions{Origin: endpoint, Socket: t.Socket, Header: header,
		TLS: t.TLS}); err != nil {
		return l, err
	}
	if t.OAuth != nil {
		l.client.Transport = NewAuthTransport(l.client.Transport, t.OAuth, endpoint)
	}
	l.http = newRoundTripper(l.client.Transport, t.Transport == mcp.Streamable, o)
	l.http.redirect, l.client.Transport = l.client.CheckRedirect, l.http
	if t.Transport == mcp.SSE {
		l.conn, err = wire.NewSSEClient(wire.SSEClientOptions{URL: endpoint, Client: l.client, Header: header,
			ConnectTimeout: o.HandshakeTimeout,
			MaxFrame:       o.MaxFrame, MaxBody: o.MaxBody, Logger: o.Logger})
		if err != nil {
			l.conn = nil // not a nil *SSEClient in an interface
			return l, err
		}
		l.transport = l.conn
		return l, nil
	}
	l.transport = &sdk.StreamableClientTransport{Endpoint: endpoint, HTTPClient: l.client, MaxEventSize: o.MaxFrame}
	return l, nil
}

// listenerWaits are those between attempts to reach a port that a server has announced.
var listenerWaits = backoff.Policy{Initial: 5 * time.Millisecond, Multiplier: 2, Max: 200 * time.Millisecond}

// awaitListener waits until the announced port is open: many servers announce it before they bind
// it.
func awaitListener(ctx context.Context, endpoint string, p *child.Process) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	port := u.Port()
	if port == "" {
		port = u.Scheme // the service of that name
	}
	var d net.Dialer
	for waits := backoff.New(listenerWaits); ; {
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
		if err == nil {
			return conn.Close()
		}
		timer := time.NewTimer(waits.Next())
		select {
		case <-timer.C:
			continue
		case <-p.Done():
		case <-ctx.Done():
		}
		timer.Stop()
		return err
	}
}
