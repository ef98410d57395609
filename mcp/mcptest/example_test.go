package mcptest_test

import (
	"context"
	"fmt"
	"log"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/mcptest"
)

// Outside of a test, Run does what Start does in one.
func ExampleRun() {
	o := role("http", mcp.SSE) // this program; elsewhere Command: []string{"python3", "server.py"}
	server, err := mcptest.Run(context.Background(), o)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(server.URL() != "")
	fmt.Println(server.Stop())
	// Output:
	// true
	// <nil>
}
