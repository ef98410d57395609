package mcp_test

import (
	"fmt"

	"github.com/openmas/openmas/mcp"
)

func ExampleTransport() {
	for _, t := range []mcp.Transport{mcp.Stdio, mcp.SSE, mcp.Streamable} {
		fmt.Printf("%s %q\n", t, t.Endpoint())
	}
	// Output:
	// stdio ""
	// sse "/sse"
	// http "/mcp"
}

func ExampleTransportOf() {
	fmt.Println(mcp.TransportOf("/tools/sse"), mcp.TransportOf("/tools"))
	// Output: sse http
}
