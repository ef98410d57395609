package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/interop/toolbox"
	"github.com/openmas/openmas/internal/testkit/fixture"
)

// A Python tool with effects that asks twice, in a child process that speaks the first version with
// elicitation, runs once for a client of the newest version.
func TestAPythonToolThatAsksRunsOnce(t *testing.T) {
	const oldest = "2025-06-18"
	rows.add(t, "Python SDK", toolbox.PythonNewVersion, theirServer+" (asked twice)", "stdio, "+oldest)
	needs(t, toolbox.PythonNew)
	t.Parallel()
	script, err := filepath.Abs(filepath.Join("testdata", "python", "server.py"))
	if err != nil {
		t.Fatal(err)
	}
	command, err := json.Marshal([]string{toolbox.PythonIn(folder(toolbox.PythonNew)), script, "--newest", oldest})
	if err != nil {
		t.Fatal(err)
	}
	run := start(t, nil, openmas(t), "run", projectFile(t, fmt.Sprintf("project: interop\ngateway: "+
		"{listen: '127.0.0.1:0'}\nagents:\n  py: {command: %s}\n", command)), "--log-format", "text")
	var asked []string
	user := func(_ context.Context, r *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
		asked = append(asked, r.Params.Message)
		word := []string{"Ada", "Rome"}[len(asked)-1]
		return &sdk.ElicitResult{Action: "accept", Content: map[string]any{"word": word}}, nil
	}
	gateway := &sdk.StreamableClientTransport{Endpoint: run.url(t) + "/mcp", MaxRetries: -1}
	cs, err := fixture.ConnectSDK(t, gateway, newest, &sdk.ClientOptions{ElicitationHandler: user})
	if err != nil {
		t.Fatal(err)
	}
	if version := cs.InitializeResult().ProtocolVersion; version != newest {
		t.Errorf("the client speaks %s", version)
	}
	ledger := filepath.Join(t.TempDir(), "ledger")
	res := fixture.CallTool(t, cs, "py_fill", map[string]any{"ledger": ledger})
	if got := fixture.TextOf(res); got != "Ada of Rome" {
		t.Errorf("%s; asked %q", fixture.MustJSON(t, res), asked)
	}
	wrote, err := os.ReadFile(ledger)
	if want := "began with " + oldest + "\nwrote ['Ada', 'Rome']\n"; err != nil ||
		strings.ReplaceAll(string(wrote), "\r", "") != want {
		t.Errorf("the ledger: %q, %v", wrote, err)
	}
	run.stop(t)
}
