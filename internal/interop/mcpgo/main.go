// The program mcpgo is the peer of the tests of package interop that mcp-go makes: a server and a
// client, as testdata has them in Python and TypeScript. It is a module of its own, since nothing
// else of openmas needs mcp-go.
//
//	mcpgo server --transport stdio|sse|http
//	mcpgo client --transport stdio|sse|http [FLAGS] -- (URL | COMMAND ARG...)
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mcpgo:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("say server or client")
	}
	switch args[0] {
	case "server":
		return serve(args[1:])
	case "client":
		return look(args[1:])
	}
	return fmt.Errorf("%s: say server or client", args[0])
}
