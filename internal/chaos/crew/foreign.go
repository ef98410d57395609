package main

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"os"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/chaos/ledger"
)

// foreign is an MCP server that knows nothing of openmas, made with the official SDK, on stdio.
func foreign(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("foreign", flag.ContinueOnError)
	file := flags.String("ledger", "", "the ledger")
	exit := flags.Int("exit", 0, "end at once with this code")
	delay := flags.Duration("delay", 0, "start so much later")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *exit != 0 {
		os.Stderr.WriteString("told to end\n") //nolint:errcheck // nobody else is left to tell
		os.Exit(*exit)
	}
	if err := wait(ctx, Job{MS: int(*delay / time.Millisecond)}); err != nil {
		return err
	}
	book, err := ledger.Open(*file)
	if err != nil {
		return err
	}
	f := &outsider{book}
	s := sdk.NewServer(&sdk.Implementation{Name: "foreign", Version: "1"}, nil)
	sdk.AddTool(s, &sdk.Tool{Name: "work", Description: "Work, with an effect."}, f.work)
	sdk.AddTool(s, &sdk.Tool{Name: "back", Description: "Call back into the system."}, f.back)
	return s.Run(ctx, &sdk.StdioTransport{})
}

type outsider struct{ book *ledger.Book }

func (f *outsider) work(ctx context.Context, _ *sdk.CallToolRequest, j Job) (*sdk.CallToolResult, Receipt, error) {
	if err := f.book.Append(ledger.Began, j.ID, "work"); err != nil {
		return nil, Receipt{}, err
	}
	if err := wait(ctx, j); err != nil {
		return nil, Receipt{}, err
	}
	return nil, Receipt{ID: j.ID, PID: os.Getpid(), Pad: strings.Repeat("x", j.Bytes)},
		f.book.Append(ledger.Ended, j.ID, "work")
}

// back calls the first tool of To with the same job, as any program can with the address and the
// token that it finds in its environment: a tool that calls itself so never ends by itself.
func (f *outsider) back(ctx context.Context, _ *sdk.CallToolRequest, j Job) (*sdk.CallToolResult, Receipt, error) {
	if err := f.book.Append(ledger.Began, j.ID, "back"); err != nil {
		return nil, Receipt{}, err
	}
	c, err := sdk.NewClient(&sdk.Implementation{Name: "foreign", Version: "1"}, nil).Connect(ctx,
		&sdk.StreamableClientTransport{Endpoint: os.Getenv("OPENMAS_URL") + "/mcp",
			HTTPClient: &http.Client{Transport: bearer(os.Getenv("OPENMAS_TOKEN"))}, DisableStandaloneSSE: true},
		&sdk.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		return nil, Receipt{}, err
	}
	defer func() { _ = c.Close() }() // all is said
	if len(j.To) == 0 {
		return nil, Receipt{}, errors.New("back: no tool to call")
	}
	res, err := c.CallTool(ctx, &sdk.CallToolParams{Name: j.To[0], Arguments: j})
	if err != nil {
		return nil, Receipt{}, err
	}
	if res.IsError {
		return res, Receipt{}, nil
	}
	return nil, Receipt{ID: j.ID, PID: os.Getpid()}, f.book.Append(ledger.Ended, j.ID, "back")
}

// bearer sends its token with each request.
type bearer string

// RoundTrip implements [http.RoundTripper].
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}
