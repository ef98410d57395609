package mcpcmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/bridge"
	"github.com/openmas/openmas/mcp/client"
)

func connectCommand(a *cli.App) *cobra.Command {
	var u cli.URLFlags
	var l cli.LogFlags
	var stdio bool
	c := &cobra.Command{
		Use:   "connect --url URL",
		Short: "Connect a client on stdin and stdout to a system that runs",
		Long: `Connect a client that speaks MCP on stdin and stdout, such as an IDE, to a system that runs, or to any
MCP server by its URL. Messages pass unchanged, in both directions. The end of stdin ends it.

A URL without a path leads to /mcp. Write /sse at its end for a server of HTTP+SSE. "openmas mcp config
--stdio --url URL" prints the configuration for the client.`,
		Example: `  openmas mcp connect --url http://127.0.0.1:8765
  openmas mcp connect --url https://agents.example.org --token-env OPENMAS_TOKEN`,
		Args: cli.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			defer cli.SurviveBrokenPipes()()
			if !stdio {
				return cli.Usage(errors.New("--stdio=false: there is no other way to connect"))
			}
			log, err := a.Logger(&l)
			if err != nil {
				return err
			}
			t, err := u.Target(a.Environ)
			if err != nil {
				return err
			}
			bridge, err := bridge.New(c.Context(), t, client.Options{Logger: log}, a.In, a.Out)
			if err != nil {
				return fmt.Errorf("connect to %s: %w", &t, err)
			}
			fmt.Fprintln(a.Err, mcp.StdioReady)
			return bridge.Run(c.Context())
		},
	}
	u.Register(c)
	c.Flags().BoolVar(&stdio, "stdio", true, "speak MCP on stdin and stdout")
	l.Register(c, "warn")
	return c
}
