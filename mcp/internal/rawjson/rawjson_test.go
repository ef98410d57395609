package rawjson

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// FuzzJSON holds the helpers against encoding/json.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{"", `"a"`, `"a\nb"`, `"\ud83d\ude00"`, `"é"`, "\"\xff\"", `[]`, `[1, "a" ,{"b":[]}]`,
		`[1,]`, `[`, "plain \x00\x1f\"\\\n\r\t\u2028", "cut \xe2\x80"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var back string
		if q := AppendQuote(nil, b); json.Unmarshal(q, &back) != nil ||
			back != strings.ToValidUTF8(string(b), "\ufffd") && back != string([]rune(string(b))) {
			t.Errorf("AppendQuote(%q) = %s", b, q)
		}
		if string(AppendQuote(nil, b)) != string(AppendQuote(nil, string(b))) {
			t.Errorf("AppendQuote differs for strings and bytes: %q", b)
		}
		if s, ok := Unquote(b); ok && Valid(b) {
			var want string
			if err := json.Unmarshal(b, &want); err != nil || s != want {
				t.Errorf("Unquote(%q) = %q, want %q, %v", b, s, want, err)
			}
		}
		var items, want []json.RawMessage
		if Array(b, func(item []byte) bool { items = append(items, slices.Clone(item)); return true }) {
			if err := json.Unmarshal(b, &want); err != nil ||
				!slices.EqualFunc(items, want, func(a, b json.RawMessage) bool {
					return string(a) == string(b)
				}) {
				t.Errorf("Array(%q) = %q, want %q, %v", b, items, want, err)
			}
		}
		if Valid(b) && !json.Valid(b) {
			t.Errorf("Valid(%q), but it is not", b)
		}
	})
}
