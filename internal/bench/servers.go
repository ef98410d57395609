package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"

	peer "github.com/mark3labs/mcp-go/mcp"
	peerserver "github.com/mark3labs/mcp-go/server"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/server"
)

// beServer serves one implementation until its input or the process ends.
func beServer(kind string, listen bool) error {
	if listen {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		h, err := handler(kind)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(os.Stdout, l.Addr()); err != nil {
			return err
		}
		return http.Serve(l, h)
	}
	switch kind {
	case "ours":
		host, err := ourAgent()
		if err != nil {
			return err
		}
		return server.ServeStdio(context.Background(), host, os.Stdin, os.Stdout, hostOptions(),
			server.Identity{Identity: agent.Identity{Trusted: os.Getenv(trustVar) != ""}, Relays: true})
	case "mcpgo":
		return peerserver.ServeStdio(mcpGo())
	case "gosdk":
		return goSDK().Run(context.Background(), &sdk.StdioTransport{})
	case "floor":
		return echoLines(os.Stdin, os.Stdout)
	}
	return fmt.Errorf("no server %q", kind)
}

// trustVar makes our server on stdio believe its client to be one of ours, as trustHeader does over
// HTTP: what the runtime does with a token.
const (
	trustVar    = "BENCH_TRUST"
	trustHeader = "X-Bench-Trust"
)

func hostOptions() server.Options {
	return server.Options{Logger: slog.New(slog.DiscardHandler),
		Identify: func(r *http.Request) (server.Identity, error) {
			return server.Identity{Identity: agent.Identity{Trusted: r.Header.Get(trustHeader) != ""}, Relays: true},
				nil
		}}
}

func handler(kind string) (http.Handler, error) {
	mux := http.NewServeMux()
	switch kind {
	case "ours":
		host, err := ourAgent()
		if err != nil {
			return nil, err
		}
		h, err := server.NewHTTP(hostOptions())
		if err != nil {
			return nil, err
		}
		if _, err := h.Serve(context.Background(), host); err != nil {
			return nil, err
		}
		for _, leaf := range []string{"sse", "messages", "messages/", "mcp"} {
			mux.HandleFunc("/"+leaf, func(w http.ResponseWriter, r *http.Request) {
				r.URL.Path = "/bench" + r.URL.Path
				h.ServeHTTP(w, r)
			})
		}
		mux.Handle("/bench/", h)
	case "mcpgo":
		s := mcpGo()
		sse := peerserver.NewSSEServer(s, peerserver.WithMessageEndpoint("/messages/"))
		mux.Handle("/sse", sse.SSEHandler())
		mux.Handle("/messages", sse.MessageHandler())
		mux.Handle("/messages/", sse.MessageHandler())
		mux.Handle("/mcp", peerserver.NewStreamableHTTPServer(s, peerserver.WithStateful(true)))
	case "gosdk":
		s := goSDK()
		get := func(*http.Request) *sdk.Server { return s }
		mux.Handle("/sse", sdk.NewSSEHandler(get, nil))
		mux.Handle("/mcp", sdk.NewStreamableHTTPHandler(get, nil))
	case "floor":
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			var m map[string]any
			if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			floorAnswer(m)
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(m)
		})
	default:
		return nil, fmt.Errorf("no server %q", kind)
	}
	return mux, nil
}

// ourAgent is an agent as users write them.
func ourAgent() (*agent.Host, error) {
	return agent.NewHost(agent.Env{Name: "bench", Logger: slog.New(slog.DiscardHandler)},
		agent.Capabilities{Tools: []agent.Tool{
			agent.NewTool("echo", "Say it again.", func(_ context.Context, in input) (string, error) {
				return in.Msg, nil
			}),
			agent.NewTool("stats", "Count allocations.", func(context.Context, input) (string, error) {
				return readStats(), nil
			}),
		}})
}

// mcpGo validates nothing: it does not by default.
func mcpGo() *peerserver.MCPServer {
	s := peerserver.NewMCPServer("bench", "1", peerserver.WithToolCapabilities(false))
	s.AddTool(peer.NewTool("echo", peer.WithString("msg", peer.Required())),
		func(_ context.Context, r peer.CallToolRequest) (*peer.CallToolResult, error) {
			return peer.NewToolResultText(r.GetString("msg", "")), nil
		})
	s.AddTool(peer.NewTool("stats", peer.WithString("msg")),
		func(context.Context, peer.CallToolRequest) (*peer.CallToolResult, error) {
			return peer.NewToolResultText(readStats()), nil
		})
	return s
}

func goSDK() *sdk.Server {
	s := sdk.NewServer(&sdk.Implementation{Name: "bench", Version: "1"},
		&sdk.ServerOptions{Capabilities: &sdk.ServerCapabilities{}})
	text := func(s string) *sdk.CallToolResult {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: s}}}
	}
	sdk.AddTool(s, &sdk.Tool{Name: "echo"},
		func(_ context.Context, _ *sdk.CallToolRequest, in input) (*sdk.CallToolResult, any, error) {
			return text(in.Msg), nil, nil
		})
	sdk.AddTool(s, &sdk.Tool{Name: "stats"}, func(context.Context, *sdk.CallToolRequest, input) (*sdk.CallToolResult,
		any, error) {
		return text(readStats()), nil, nil
	})
	return s
}

// echoLines is the floor of stdio: it decodes each line and encodes it again.
func echoLines(in io.Reader, out io.Writer) error {
	r, w := bufio.NewReader(in), bufio.NewWriter(out)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			return err
		}
		floorAnswer(m)
		b, err := json.Marshal(m)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(b, '\n')); err != nil {
			return err
		}
		if r.Buffered() == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
}

func floorAnswer(m map[string]any) {
	if m["tool"] == "stats" {
		m["msg"] = readStats()
	}
}

// fleet are the servers over HTTP.
type fleet struct{ running []*exec.Cmd }

// start starts one and returns its URL.
func (f *fleet) start(kind string) (string, error) {
	cmd, err := self("-serve", kind, "-listen")
	if err != nil {
		return "", err
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	f.running = append(f.running, cmd)
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("server %s: %w", kind, err)
	}
	return "http://" + strings.TrimSpace(addr), nil
}

func (f *fleet) stop() {
	for _, cmd := range f.running {
		_ = cmd.Process.Kill() // it may be gone
		_ = cmd.Wait()
	}
}

// self is this program as another process.
func self(args ...string) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.Command(path, args...), nil //nolint:noctx // it is stopped by who started it
}
