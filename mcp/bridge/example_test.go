package bridge_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/bridge"
	"github.com/openmas/openmas/mcp/client"
)

// A client that knows stdio only uses a server that is reached by URL. This is what
// `openmas mcp connect` does with its standard input and output.
func ExampleBridge() {
	s := sdk.NewServer(&sdk.Implementation{Name: "far", Version: "1"}, nil)
	listener := httptest.NewServer(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s }, nil))
	defer listener.Close()

	in := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"demo","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"ping"}
`)
	var out bytes.Buffer
	ctx := context.Background()
	b, err := bridge.New(ctx, client.Target{Transport: mcp.Streamable, URL: listener.URL}, client.Options{}, in, &out)
	if err != nil {
		log.Fatal(err)
	}
	if err := b.Run(ctx); err != nil {
		log.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, `"id":2`) {
			fmt.Print(line)
		}
	}
	// Output: {"jsonrpc":"2.0","id":2,"result":{}}
}
