package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp/internal/schema"
)

// patterns and what V8 says of them with the flag u.
var patterns = map[bool][]string{
	true: {`^abc$`, `^(?!x)`, `(?<=a)b`, `(?<n>x)\k<n>`, `[a-z\-_@]+`, `[^\]]`,
		`a{2,3}?`, `\u{1F600}`, `\ud83d\ude00`,
		`[\u0041-\u005a]`, `\p{L}+`, `\p{Script=Greek}`, `\p{gc=Lu}`, `\cA`, `(a)\1`, `\1(a)`, `\0`, `[\b]`, `a|`, ``,
		`/`, `[&&]`, `[[]`, `é😀`, `[😀-😁]`, `\p{Alphabetic}`, `\x41`},
	false: {`(?i)abc`, `(?P<n>x)`, `\Astart\Z`, `[a-z\_@]`, `(`, `)`, `[`, `]`, `{`, `a{`, `a{,3}`, `a{2,1}`, `*a`,
		`^*`, `\b+`, `(?=a)*`,
		`[z-a]`, `[\d-z]`, `\1`, `\01`, `\k<n>`, `\u12`, `\u{110000}`, `\x4`, `\p{Greek}`, `\p`, `\h`,
		`\e`, `(?#c)`, `(?>a)`,
		`(?<n>a)(?<n>b)`, `(?<1>a)`, `(?<n`, `\k<n`, `[a-`, `a{1,`, `\`, `a**`, `a++`, `\c1`, `\-`, `[\1]`},
}

// A pattern that clients in JavaScript cannot compile makes them refuse every tool in the list.
func TestOutputPatterns(t *testing.T) {
	var c schema.Checker
	for good, all := range patterns {
		for _, p := range all {
			text := fixture.MustJSON(t, p)
			for _, in := range []string{
				fmt.Sprintf(`{"type":"object","properties":{"a":{"type":"string","pattern":%s}}}`, text),
				fmt.Sprintf(`{"type":"object","patternProperties":{%s:{}}}`, text)} {
				fixed, what := c.Output([]byte(in))
				if good && (string(fixed) != in || what != "") {
					t.Errorf("%s became %s: %s", in, fixed, what)
				}
				if !good && (fixed != nil || !strings.Contains(what, "none of JavaScript")) {
					t.Errorf("%s became %s: %s", in, fixed, what)
				}
			}
			if fixed, what := c.Input(fmt.Appendf(nil, `{"type":"object","properties":{"a":{"pattern":%s}}}`,
				text)); what != "" || !strings.Contains(string(fixed), text) {
				t.Errorf("a tool's input may have any pattern: %s, %s", fixed, what)
			}
		}
	}
}

// A pattern of any length costs little time.
func TestLongPatterns(t *testing.T) {
	var c schema.Checker
	for pattern, want := range map[string]string{
		strings.Repeat(`\u{1}`, 2<<10):  "",
		strings.Repeat(`\u{1}`, 1<<20):  "at most 16384 are read",
		strings.Repeat(`(?<n`, 1<<12-1): "is no name of a group",
	} {
		in := fmt.Sprintf(`{"type":"object","patternProperties":{%s:{}}}`, fixture.MustJSON(t, pattern))
		if _, what := c.Output([]byte(in)); !strings.Contains(what, want) || want == "" && what != "" {
			t.Errorf("%.20s…, %d bytes: %.200s", pattern, len(pattern), what)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, all := range patterns {
		for _, p := range all {
			f.Add(p)
		}
	}
	f.Fuzz(func(t *testing.T, p string) {
		var c schema.Checker
		in := fmt.Sprintf(`{"type":"object","patternProperties":{%s:{}}}`, fixture.MustJSON(t, p))
		if fixed, what := c.Output([]byte(in)); (fixed == nil) == (what == "") {
			t.Errorf("%s: %s, %q", in, fixed, what)
		}
	})
}
