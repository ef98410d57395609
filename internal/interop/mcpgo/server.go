package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

func serve(args []string) error {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	transport := flags.String("transport", "stdio", "stdio, sse or http")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s := newServer()
	if *transport == "stdio" {
		return server.ServeStdio(s)
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	sse := server.NewSSEServer(s, server.WithMessageEndpoint("/messages/"))
	mux.Handle("/sse", sse.SSEHandler())
	mux.Handle("/messages/", sse.MessageHandler())
	mux.Handle("/mcp", server.NewStreamableHTTPServer(s, server.WithStateful(true)))
	fmt.Fprintf(os.Stderr, "SSE_SERVER_URL=http://%s\n", l.Addr())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = web.Close() }) // Serve says so
	if err := web.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

type handler = func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error)

func newServer() *server.MCPServer {
	s := server.NewMCPServer("mcp-go-peer", "1.0.0", server.WithToolCapabilities(false))
	s.EnableSampling()
	add := func(name, description, properties string, h handler) {
		s.AddTool(mcp.NewToolWithRawSchema(name, description,
			json.RawMessage(`{"type": "object", "properties": {`+properties+`}}`)), h)
	}
	add("echo", `Give any JSON value back as {"echoed": value}.`, `"message": {}`,
		func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			text, err := json.Marshal(map[string]any{"echoed": r.GetArguments()["message"]})
			return mcp.NewToolResultText(string(text)), err
		})
	add("add", "Add two numbers.", `"a": {"type": "number"}, "b": {"type": "number"}`,
		func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			a, err := r.RequireFloat("a")
			if err != nil {
				return mcp.NewToolResultErrorFromErr("add", err), nil
			}
			return mcp.NewToolResultText(fmt.Sprint(a + r.GetFloat("b", 0))), nil
		})
	add("fail", "Always fail.", `"message": {"type": "string"}`,
		func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return mcp.NewToolResultError(r.GetString("message", "")), nil
		})
	add("slow", "Answer after a while.", `"seconds": {"type": "number"}`,
		func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(time.Duration(r.GetFloat("seconds", 0) * float64(time.Second))):
				return mcp.NewToolResultText("done"), nil
			}
		})
	add("nested", "A nested value with characters from all over the world.", "",
		func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return mcp.NewToolResultText(`{"grüße": [{"日本": "語"}, {"emoji": "🦊", "none": null}], ` +
				`"depth": {"a": {"b": {"c": [1, 2.5, true]}}}}`), nil
		})
	add("count", "Count, and tell how far it has come.", `"to": {"type": "integer"}`, count)
	add("ask", "Ask the model of whoever calls.", `"question": {"type": "string"}`, ask)
	s.AddPrompt(mcp.NewPrompt("greet", mcp.WithPromptDescription("Ask for a greeting."),
		mcp.WithArgument("name", mcp.RequiredArgument())),
		func(_ context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return mcp.NewGetPromptResult("", []mcp.PromptMessage{mcp.NewPromptMessage(mcp.RoleUser,
				mcp.NewTextContent("Greet "+r.Params.Arguments["name"]+", please."))}), nil
		})
	s.AddResource(mcp.NewResource("note://today", "today", mcp.WithMIMEType("text/plain")),
		func(context.Context, mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
			return []mcp.ResourceContents{mcp.TextResourceContents{URI: "note://today", MIMEType: "text/plain",
				Text: "Today is a good day."}}, nil
		})
	return s
}

func count(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	to := r.GetInt("to", 0)
	if meta := r.Params.Meta; meta != nil && meta.ProgressToken != nil {
		for i := 1; i <= to; i++ {
			err := server.ServerFromContext(ctx).SendNotificationToClient(ctx, "notifications/progress",
				map[string]any{"progressToken": meta.ProgressToken, "progress": i, "total": to})
			if err != nil {
				return nil, err
			}
		}
	}
	return mcp.NewToolResultText(fmt.Sprintf("counted to %d", to)), nil
}

func ask(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	var question mcp.CreateMessageRequest
	question.Messages = []mcp.SamplingMessage{{Role: mcp.RoleUser,
		Content: mcp.NewTextContent(r.GetString("question", ""))}}
	question.MaxTokens = 100
	answer, err := server.ServerFromContext(ctx).RequestSampling(ctx, question)
	if err != nil {
		return mcp.NewToolResultErrorFromErr("no model", err), nil
	}
	text := mcp.GetTextFromContent(answer.Content)
	return mcp.NewToolResultText("the model says: " + text), nil
}
