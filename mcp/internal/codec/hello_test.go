package codec

import (
	"encoding/json"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// What is surely meant in a handshake is taken, and the SDK decodes the rest.
func TestMendHello(t *testing.T) {
	for raw, want := range map[string][2]string{
		`{"serverInfo":{"name":"x","version":1.0}}`: {
			`{"serverInfo":{"name":"x","version":"1.0"}}`, "serverInfo.version"},
		`{"serverInfo":"x"}`: {
			`{"serverInfo":{"name":"x","version":""}}`, "serverInfo"},
		`{"serverInfo":[]}`: {
			`{}`, "serverInfo"},
		`{"instructions":5}`: {
			`{"instructions":"5"}`, "instructions"},
		`{"instructions":["a"]}`: {
			`{}`, "instructions"},
		`{"capabilities":{"tools":true}}`: {
			`{"capabilities":{"tools":{}}}`, "capabilities.tools"},
		`{"capabilities":{"tools":[],"logging":true}}`: {
			`{"capabilities":{"tools":{},"logging":{}}}`, "capabilities.logging capabilities.tools"},
		`{"capabilities":{"prompts":false}}`: {
			`{"capabilities":{}}`, "capabilities.prompts"},
		`{"capabilities":{"tools":{"listChanged":"yes"}}}`: {
			`{"capabilities":{"tools":{"listChanged":true}}}`, "capabilities.tools.listChanged"},
		`{"capabilities":{"tools":{"listChanged":"maybe"}}}`: {
			`{"capabilities":{"tools":{}}}`, "capabilities.tools.listChanged"},
		`{"capabilities":{"experimental":[]},"_meta":[]}`: {
			`{"capabilities":{}}`, "_meta capabilities.experimental"},
		`{"capabilities":{"Tools":{"ListChanged":true},"x":1.0}}`: {
			`{"capabilities":{"tools":{"listChanged":true},"x":1.0}}`,
			"capabilities.Tools capabilities.tools.ListChanged"},
		`{"capabilities":{"Tools":{},"tools":{}}}`: {"", ""},
		`{"capabilities":[]}`: {
			`{"capabilities":{}}`, "capabilities"},
		`{"supportedVersions":"2026-07-28","ttlMs":"0"}`: {
			`{"supportedVersions":["2026-07-28"]}`, "supportedVersions ttlMs"},
		`{"serverInfo":{"name":"x","icons":"y","k":1.0}}`: {
			`{"serverInfo":{"name":"x","k":1.0}}`, "serverInfo.icons"},
		`{"serverInfo": {"name":"x","version":"1"},"capabilities":{"tools":{"listChanged":true}},"k":[1.0]}`: {"", ""},
		`[]`: {"", ""},
	} {
		got, odd := MendHello(json.RawMessage(raw))
		if want[1] == "" {
			want[0] = raw
		}
		if string(got) != want[0] || strings.Join(odd, " ") != want[1] {
			t.Errorf("%s became %s, odd %q; want %s, odd %q", raw, got, odd, want[0], want[1])
		}
		if json.Unmarshal(got, new(sdk.InitializeResult)) != nil && raw != "[]" {
			t.Errorf("%s does not decode", got)
		}
	}
	const odd = `{"protocolVersion":"2025-06-18","capabilities":{"roots":true,"sampling":[],"elicitation":{"form":true}},"clientInfo":{"name":"x","version":2}}`
	mended, names := MendClient(json.RawMessage(odd))
	var p sdk.InitializeParams
	if err := json.Unmarshal(mended, &p); err != nil || p.ClientInfo.Version != "2" || p.Capabilities.Sampling == nil ||
		p.Capabilities.Elicitation.Form == nil || len(names) != 4 {
		t.Errorf("%s: %v, %q", mended, err, names)
	}
}
