package runtime

import (
	"strings"
	"testing"
)

// TestTokensAreNotShown: not even those that somebody wrote down plainly.
func TestTokensAreNotShown(t *testing.T) {
	project(t, map[string]string{"p.yaml": "agents:\n  a: {url: \"https://x\", token: sesame-1}\n  b: {url: \"https://x\", oauth: {client_id: me, client_secret: sesame-2}}\n" +
		"gateway: {token: sesame-3, tokens: {ann: sesame-4}}\n"})
	c, err := Load("p.yaml", LoadOptions{Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	if err := Print(&printed, c); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(printed.String(), "sesame") || strings.Count(printed.String(), "***") != 4 {
		t.Errorf("printed:\n%s", printed.String())
	}
	if got := c.Redact("sesame-1 sesame-2 sesame-3 sesame-4"); got != "*** *** *** ***" {
		t.Errorf("redacted: %s", got)
	}
}
