package mcp

// The lines that a server program writes to standard error while it starts. The program that
// started it waits for them.
const (
	// Building begins the line of an openmas command that builds its project's Go package first.
	// The package's name follows. Until the line that begins with [Built], the time that the
	// program has to answer does not pass.
	Building = "openmas: building "
	// Built begins the line that says that the build is done.
	Built = "openmas: built "
	// StdioReady is the line of a server that is ready for MCP on stdin and stdout.
	StdioReady = "STDIO_SERVER_READY"
	// SSEURL begins the line of a server that is ready for MCP over HTTP. Its URL follows:
	// http://host:port.
	SSEURL = "SSE_SERVER_URL="
)
