package nearest

import (
	"strings"
	"testing"
)

func TestWord(t *testing.T) {
	known := []string{"communicator", "command", "config", "type", "timeout", "tools", "url", "mcp-sse", "mcp-stdio"}
	for word, want := range map[string]string{
		"comunicator": "communicator", "Type": "type", "tpye": "type", "timout": "timeout", "tool": "tools",
		"mcp-std": "mcp-stdio", "ulr": "url", "zzz": "", "": "", "x": "", strings.Repeat("x", 100): "",
	} {
		if got := Word(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

func TestHint(t *testing.T) {
	for _, tt := range []struct {
		word  string
		known []string
		want  string
	}{
		{"tpye", []string{"type", "url"}, `did you mean "type"?`},
		{"zzz", []string{"url", "type"}, "known: type, url"},
		{"zzz", nil, ""},
		{"zzz", make([]string, 21), ""},
	} {
		if got := Hint(tt.word, tt.known); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.word, got, tt.want)
		}
	}
}

func TestMember(t *testing.T) {
	const schema = `{"type": "object", "properties": {"dividend": {}, "divisor": {}}}`
	for input, want := range map[string]string{
		`{"dividand": 1, "divisor": 2}`:    `did you mean "dividend" for "dividand"?`,
		`{"divisr": 1, "dividend": 2}`:     `did you mean "divisor" for "divisr"?`,
		`{"dividend": 1, "dividends": 2}`:  "", // what is near is given
		`{"x": 1}`:                         "",
		`{"dividend": "x", "divisor": {}}`: "",
		`[]`:                               "",
		``:                                 "",
	} {
		if got := Member([]byte(schema), []byte(input)); got != want {
			t.Errorf("%s: %q, want %q", input, got, want)
		}
	}
	if got := Member(nil, []byte(`{"a": 1}`)); got != "" {
		t.Errorf("without a schema: %q", got)
	}
}
