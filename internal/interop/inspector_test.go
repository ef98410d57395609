package interop

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/interop/toolbox"
)

// The MCP Inspector lists and calls tools of a running system over each transport.
func TestInspector(t *testing.T) {
	for _, transport := range []string{"stdio", "sse", "http"} {
		t.Run(transport, func(t *testing.T) {
			rows.add(t, "MCP Inspector", toolbox.InspectorVersion, theirClient, transport)
			needs(t, toolbox.Node, toolbox.Peers)
			t.Parallel()
			var target []string
			if transport == "stdio" {
				target = []string{system(t), "run", projectFile(t, "project: interop\nagents: {peer: {type: peer}}\n"),
					"--stdio"}
			} else {
				target = []string{serve(t, project) + endpoint(transport)}
			}
			inspect := func(args ...string) string {
				argv := []string{nodeProgram(t),
					filepath.Join(folder(toolbox.Peers), "node_modules", "@modelcontextprotocol", "inspector",
						"clients", "launcher", "build", "index.js"), "--cli"}
				argv = append(argv, args...)
				argv = append(argv, "--transport", transport, "--")
				return start(t, nil, append(argv, target...)...).wait(t)
			}
			var list struct {
				Tools []struct {
					Name        string          `json:"name"`
					InputSchema json.RawMessage `json:"inputSchema"`
				} `json:"tools"`
			}
			if out := inspect("--method", "tools/list"); json.Unmarshal([]byte(out), &list) != nil ||
				len(list.Tools) < 6 {
				t.Errorf("tools/list: %s", out)
			}
			found := false
			for _, tool := range list.Tools {
				found = found || tool.Name == "peer_echo"
			}
			if !found {
				t.Errorf("peer_echo is not listed: %+v", list)
			}
			var res struct {
				Content []struct {
					Type, Text string
				} `json:"content"`
				IsError bool `json:"isError"`
			}
			out := inspect("--method", "tools/call", "--tool-name", "peer_echo", "--tool-arg", "message=grüße 🦊")
			if json.Unmarshal([]byte(out), &res) != nil || res.IsError || len(res.Content) != 1 ||
				!strings.Contains(res.Content[0].Text, `"echoed":"grüße 🦊"`) {
				t.Errorf("tools/call: %s", out)
			}
		})
	}
}
