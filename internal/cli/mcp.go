package cli

import "github.com/spf13/cobra"

func (a *App) mcpCommand() *cobra.Command {
	return Group("mcp", "Connect openmas to MCP clients, and their servers to openmas",
		`Connect openmas to MCP clients, such as IDEs and desktop assistants, and make agents of the servers that
they know.`,
		a.mcpConfigCommand(), a.connectCommand(), a.importCommand())
}
