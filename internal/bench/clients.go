package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	peerclient "github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	peer "github.com/mark3labs/mcp-go/mcp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
)

// The ways, named as the variants begin.
const (
	overStdio = "stdio"
	overSSE   = "sse"
	overHTTP  = "http"
)

// path is where every server has the transport.
func path(way string) string { return map[string]string{overSSE: "/sse", overHTTP: "/mcp"}[way] }

// pooled keeps a connection for each caller: the default client keeps two.
func pooled() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
}

// variants starts the servers over HTTP.
func variants(f *fleet) ([]variant, error) {
	urls := map[string]string{}
	for _, kind := range []string{"ours", "mcpgo", "gosdk", "floor"} {
		url, err := f.start(kind)
		if err != nil {
			return nil, err
		}
		urls[kind] = url
	}
	all := []variant{{"floor/pipe", dialPipe}, {"floor/post", func(context.Context) (caller, error) {
		return &post{urls["floor"], pooled()}, nil
	}}}
	for _, way := range []string{overStdio, overSSE, overHTTP} {
		add := func(client, server string, dial func(ctx context.Context, way, server, url string) (caller, error)) {
			all = append(all, variant{fmt.Sprintf("%s/%s-%s", way, client, server),
				func(ctx context.Context) (caller, error) {
					return dial(ctx, way, server, urls[server]+path(way))
				}})
		}
		add("ours", "ours", dialOurs)
		add("mcpgo", "mcpgo", dialMCPGo)
		add("gosdk", "gosdk", dialGoSDK)
		add("mcpgo", "ours", dialMCPGo)
		add("gosdk", "ours", dialGoSDK)
		add("ours", "mcpgo", dialOurs)
		add("ours", "gosdk", dialOurs)
	}
	return all, nil
}

type ours struct{ *client.Session }

func dialOurs(ctx context.Context, way, server, url string) (caller, error) {
	t := client.Target{Name: "bench", Transport: mcp.Transport(way), Trusted: server == "ours"}
	if way == overStdio {
		exe, err := os.Executable()
		if err != nil {
			return nil, err
		}
		t.Command = []string{exe, "-serve", server}
		t.Env = map[string]string{trustVar: "1"}
	} else {
		t.URL, t.Headers = url, map[string]string{trustHeader: "1"}
	}
	s, err := client.Connect(ctx, t, client.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return ours{s}, nil
}

func (c ours) call(ctx context.Context, tool, msg string) (string, error) {
	in, err := json.Marshal(input{msg})
	if err != nil {
		return "", err
	}
	res, err := c.Call(ctx, &agent.Call{ID: "c1", Op: agent.OpTool, Agent: "bench", Name: tool, Input: in,
		From: agent.Identity{Agent: "bench"}, Attempt: 1})
	if err != nil {
		return "", err
	}
	var out string
	return out, errors.Join(res.Decode(&out), nil)
}

func (c ours) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = c.Close(ctx) // foreign servers may have to be killed
}

type mcpgo struct{ *peerclient.Client }

func dialMCPGo(ctx context.Context, way, server, url string) (caller, error) {
	var c *peerclient.Client
	var err error
	switch way {
	case overStdio:
		var exe string
		if exe, err = os.Executable(); err == nil {
			c, err = peerclient.NewStdioMCPClient(exe, nil, "-serve", server)
		}
	case overSSE:
		c, err = peerclient.NewSSEMCPClient(url, transport.WithHTTPClient(pooled()))
	case overHTTP:
		c, err = peerclient.NewStreamableHttpClient(url, transport.WithHTTPBasicClient(pooled()))
	}
	if err != nil {
		return nil, err
	}
	if way != overStdio {
		if err := c.Start(ctx); err != nil {
			return nil, err
		}
	}
	var hello peer.InitializeRequest
	hello.Params.ProtocolVersion = protocol
	hello.Params.ClientInfo = peer.Implementation{Name: "bench", Version: "1"}
	if _, err := c.Initialize(ctx, hello); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return mcpgo{c}, nil
}

func (c mcpgo) call(ctx context.Context, tool, msg string) (string, error) {
	var r peer.CallToolRequest
	r.Params.Name, r.Params.Arguments = tool, input{msg}
	res, err := c.CallTool(ctx, r)
	if err != nil {
		return "", err
	}
	if text, ok := res.Content[0].(peer.TextContent); ok && !res.IsError {
		return text.Text, nil
	}
	return "", fmt.Errorf("result %+v", res)
}

func (c mcpgo) close() { _ = c.Close() }

type gosdk struct{ *sdk.ClientSession }

func dialGoSDK(ctx context.Context, way, server, url string) (caller, error) {
	var t sdk.Transport
	switch way {
	case overStdio:
		cmd, err := self("-serve", server)
		if err != nil {
			return nil, err
		}
		t = &sdk.CommandTransport{Command: cmd}
	case overSSE:
		t = &sdk.SSEClientTransport{Endpoint: url, HTTPClient: pooled()}
	case overHTTP:
		t = &sdk.StreamableClientTransport{Endpoint: url, HTTPClient: pooled()}
	}
	c := sdk.NewClient(&sdk.Implementation{Name: "bench", Version: "1"},
		&sdk.ClientOptions{Capabilities: &sdk.ClientCapabilities{}})
	s, err := c.Connect(ctx, t, &sdk.ClientSessionOptions{ProtocolVersion: protocol})
	if err != nil {
		return nil, err
	}
	return gosdk{s}, nil
}

func (c gosdk) call(ctx context.Context, tool, msg string) (string, error) {
	res, err := c.CallTool(ctx, &sdk.CallToolParams{Name: tool, Arguments: input{msg}})
	if err != nil {
		return "", err
	}
	if text, ok := res.Content[0].(*sdk.TextContent); ok && !res.IsError {
		return text.Text, nil
	}
	return "", fmt.Errorf("result %+v", res)
}

func (c gosdk) close() { _ = c.Close() }

// post is the floor of HTTP: a POST with a JSON body, answered with JSON.
type post struct {
	url  string
	http *http.Client
}

func (p *post) call(ctx context.Context, tool, msg string) (string, error) {
	body, err := json.Marshal(floorMessage{Tool: tool, Msg: msg})
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(string(body)))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := p.http.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var out floorMessage
	d := json.NewDecoder(resp.Body)
	if err := d.Decode(&out); err != nil {
		return "", err
	}
	_, _ = d.Token() // to the end, so that the connection is used again
	return out.Msg, nil
}

func (p *post) close() { p.http.CloseIdleConnections() }
