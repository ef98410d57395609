// Package mcpcmd is `openmas mcp`: what MCP clients need to use openmas, and openmas their servers.
package mcpcmd

import (
	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/cli"
)

// Command makes `openmas mcp`.
func Command(a *cli.App) *cobra.Command {
	return cli.Group("mcp", "Connect openmas to MCP clients, and their servers to openmas",
		`Connect openmas to MCP clients, such as IDEs and desktop assistants, and make agents of the servers that
they know.`,
		configCommand(a), connectCommand(a), importCommand(a))
}
