package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/startup"
	"github.com/openmas/openmas/mcp/bridge"
	"github.com/openmas/openmas/mcp/client"
)

func (a *app) connectCommand() *cobra.Command {
	var s server
	var l logging
	var stdio bool
	c := &cobra.Command{
		Use:   "connect --stdio --url URL",
		Short: "Let a client that speaks stdio use a system that runs already",
		Long: `Let a client that speaks MCP on stdin and stdout, such as an IDE, use a system that runs already, or
any MCP server by its URL. Messages pass unchanged, in both directions; the end of stdin ends it.

A URL without a path leads to /mcp; write /sse at its end for a server of HTTP+SSE. The client's
configuration is what "openmas mcp-config --stdio --url URL" prints.`,
		Example: `  openmas connect --stdio --url http://127.0.0.1:8765
  openmas connect --stdio --url https://agents.example.org --token-env OPENMAS_TOKEN`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !stdio {
				return usage(errors.New("say --stdio: it is the only way so far"))
			}
			log, err := l.logger(a.Err)
			if err != nil {
				return err
			}
			t, err := s.target(a.Environ)
			if err != nil {
				return usage(err)
			}
			bridge, err := bridge.New(c.Context(), t, client.Options{Logger: log}, a.In, a.Out)
			if err != nil {
				return fmt.Errorf("connect to %s: %w", &t, err)
			}
			fmt.Fprintln(a.Err, startup.StdioReady)
			return bridge.Run(c.Context())
		},
	}
	c.Flags().StringVar(&s.url, "url", "", "where the system runs: http://127.0.0.1:8765")
	s.tokenFlag(c)
	c.Flags().BoolVar(&stdio, "stdio", false, "speak MCP on stdin and stdout")
	l.flags(c, "warn")
	return c
}
