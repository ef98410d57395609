package cli

import (
	"slices"
	"strings"
	"testing"
)

func TestSplitCommand(t *testing.T) {
	tests := []struct {
		line string
		want []string // nil: an error
	}{
		{"python3 server.py", []string{"python3", "server.py"}},
		{"  a \t b\n", []string{"a", "b"}},
		{`a 'b c' "d e"`, []string{"a", "b c", "d e"}},
		{`a b' 'c`, []string{"a", "b c"}},
		{`a ''`, []string{"a", ""}},
		{`a "it's"`, []string{"a", "it's"}},
		{`a \"b\ c\"`, []string{"a", `"b c"`}},
		{`a 'b\c'`, []string{"a", `b\c`}},
		{`a "b\"c"`, []string{"a", `b"c`}},
		{`echo $HOME *.go | wc; ~`, []string{"echo", "$HOME", "*.go", "|", "wc;", "~"}},
		{`naïve "ä ö"`, []string{"naïve", "ä ö"}},
		{``, nil},
		{"  \n", nil},
		{`a "b`, nil},
		{`a 'b`, nil},
		{`a \`, nil},
	}
	for _, tt := range tests {
		got, err := splitCommand(tt.line)
		if (err != nil) != (tt.want == nil) || !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, %v, want %q", tt.line, got, err, tt.want)
		}
	}
}

// What a shell's quoting makes of any words, splitCommand takes apart again.
func FuzzSplitCommand(f *testing.F) {
	f.Add("python3", "server.py")
	f.Add("a b", `it's "so" \ so`)
	f.Add("", "\t\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		if _, err := splitCommand(a); err != nil && strings.ContainsFunc(a, func(r rune) bool {
			return !strings.ContainsRune("'\"\\ \t\n", r)
		}) && !strings.ContainsAny(a, `'"\`) {
			t.Errorf("%q: %v", a, err) // words without quotes always split
		}
		words := []string{toRunes(a), toRunes(b)}
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = `'` + strings.ReplaceAll(w, `'`, `'\''`) + `'`
		}
		got, err := splitCommand(strings.Join(quoted, " "))
		if err != nil || !slices.Equal(got, words) {
			t.Errorf("%q came back as %q, %v", words, got, err)
		}
	})
}

func TestWrongServers(t *testing.T) {
	tests := map[string]struct {
		args []string
		code int
		want string
	}{
		"no scheme":        {[]string{"--url", "localhost:8765"}, exitUsage, "want http://host:port"},
		"another scheme":   {[]string{"--url", "ftp://host"}, exitUsage, "want http://host:port"},
		"a password":       {[]string{"--url", "http://me:hunter2@host"}, exitUsage, "no user and password"},
		"an empty command": {[]string{"--command", " "}, exitUsage, "--command: it is empty"},
		"an open quote":    {[]string{"--command", "a 'b"}, exitUsage, "ends inside a quote"},
		"both":             {[]string{"--url", "http://127.0.0.1:1", "--command", "x"}, exitUsage, "url"},
		"and a project":    {[]string{"-p", "p.yaml", "--url", "http://127.0.0.1:1"}, exitUsage, "one of them"},
		"nobody listens":   {[]string{"--url", "http://127.0.0.1:1"}, exitFailed, "nothing listens there"},
		"no such program": {[]string{"--command", "no-such-program-anywhere"}, exitFailed,
			"no-such-program-anywhere"},
		"a project's flaw": {[]string{"-p", "no-such.yaml"}, exitUsage, "there is no such file"},
		"an unknown flag":  {[]string{"--ulr", "x"}, exitUsage, "unknown flag: --ulr"},
		"a wrong log level": {[]string{"--url", "http://127.0.0.1:1", "--log-level", "loud"}, exitUsage,
			"want trace, debug, info, warn or error"},
		"a wrong format": {[]string{"--url", "http://127.0.0.1:1", "--log-format", "xml"}, exitUsage,
			"want text or json"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := run(t, "", append([]string{"list"}, tt.args...)...)
			if r.code != tt.code || !strings.Contains(r.err, tt.want) || r.out != "" {
				t.Errorf("exit %d, out %q, err %q; want %d and %q", r.code, r.out, r.err, tt.code, tt.want)
			}
			if strings.Contains(r.err, "hunter2") {
				t.Errorf("the password is shown: %s", r.err)
			}
		})
	}
}

// toRunes replaces each invalid byte, as encoding/json does.
func toRunes(s string) string { return string([]rune(s)) }
