package project

import (
	"strings"
	"testing"
)

// TestTokensAreNotShown: not even those that somebody wrote down plainly.
func TestTokensAreNotShown(t *testing.T) {
	project(t, map[string]string{"p.yaml": "agents:\n  a: {url: \"https://x\", token: sesame-1}\n  b: {url: " +
		"\"https://x\", oauth: {client_id: me, client_secret: sesame-2}}\n" +
		"gateway: {token: sesame-3-of-many, tokens: {ann: sesame-4-of-many}}\nbroker: {type: nats, urls: [\"nats://x:4222\"], user: " +
		"me, password: sesame-5, token: sesame-6}\n" +
		"ops: {token: sesame-9-of-many}\n" +
		"mcp: {request_state_keys: [sesame-7-of-thirty-two-characters, sesame-8-of-thirty-two-characters]}\n"})
	c, err := Load("p.yaml", Options{Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	if err := Print(&printed, c); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(printed.String(), "sesame") || strings.Count(printed.String(), "***") != 9 {
		t.Errorf("printed:\n%s", printed.String())
	}
	if got := c.Redact("sesame-1 sesame-2 sesame-3-of-many sesame-4-of-many sesame-5 sesame-6 " +
		"sesame-8-of-thirty-two-characters sesame-9-of-many"); got !=
		"*** *** *** *** *** *** *** ***" {
		t.Errorf("redacted: %s", got)
	}
}

// TestLiteralSecretsAreNotPrinted: those that somebody wrote where references belong.
func TestLiteralSecretsAreNotPrinted(t *testing.T) {
	project(t, map[string]string{"p.yaml": `agents:
  a:
    url: "https://example.org/mcp?api_key=sesame-2&sesame-3-of-sixteen&lang=#top"
    headers: {Authorization: "Bearer sesame-4", X-Api-Key: sesame-5, Accept: text/plain}
  b:
    command: [server]
    env: {GITHUB_TOKEN: sesame-6, DB_PASSWORD: "sesame 7", LOG_LEVEL: debug, PATHS: /srv}
`})
	c, err := Load("p.yaml", Options{Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := Print(&out, c); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{`https://example.org/mcp?api_key=***&***&lang=#top`, "Accept: text/plain",
		"LOG_LEVEL: debug", "PATHS: /srv"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "sesame") {
		t.Errorf("printed:\n%s", text)
	}
}
