package project

import (
	"strings"
	"testing"
)

// TestTokensAreNotShown: not even those that somebody wrote down plainly.
func TestTokensAreNotShown(t *testing.T) {
	project(t, map[string]string{"p.yaml": "agents:\n  a: {url: \"https://x\", token: sesame-1}\n  b: {url: " +
		"\"https://x\", oauth: {client_id: me, client_secret: sesame-2}}\n" +
		"gateway: {token: sesame-3, tokens: {ann: sesame-4}}\nbroker: {type: nats, urls: [\"nats://x:4222\"], user: " +
		"me, password: sesame-5, token: sesame-6}\n" +
		"ops: {token: sesame-9}\n" +
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
	if got := c.Redact("sesame-1 sesame-2 sesame-3 sesame-4 sesame-5 sesame-6 sesame-8-of-thirty-two-characters sesame-9"); got !=
		"*** *** *** *** *** *** *** ***" {
		t.Errorf("redacted: %s", got)
	}
}
