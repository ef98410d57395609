package project

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestPositions: keys, values and items stand where an editor would show them.
func TestPositions(t *testing.T) {
	tree := newTree()
	v, problems := tree.parse("p.yaml", []byte("a: 1\r\nb:\r\n  é: \"x\"\r\n  list:\r\n    - one\r\n    - {k: v}\r\n  "+
		"text: |\r\n    t\r\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	tree.add(v.(map[string]any))
	for path, want := range map[string]string{
		"a": "1:1 1:4", "b": "2:1", "b/é": "3:3 3:6", "b/list": "4:3 5:5", "b/list/[0]": "0:0 5:7",
		"b/list/[1]": "6:7", "b/list/[1]/k": "6:8 6:11", "b/text": "7:3 7:9",
	} {
		keys := strings.Split(path, "/")
		got := ""
		if l, ok := tree.at(keys...).(*leaf); ok {
			got = fmt.Sprintf("%d:%d ", l.key.Line, l.key.Column)
		}
		pos := tree.position(keys...)
		if got += fmt.Sprintf("%d:%d", pos.Line, pos.Column); got != want {
			t.Errorf("%s at %s, want %s", path, got, want)
		}
	}
	for _, path := range [][]string{{"x"}, {"a", "x"}, {"b", "list", "[2]"}, {"b", "list", "0"},
		{"b", "list", "[0]", "x"}} {
		if tree.at(path...) != nil || tree.position(path...) != (Position{}) {
			t.Errorf("%v is there", path)
		}
	}
}

func TestJoinPath(t *testing.T) {
	for want, path := range map[string][]string{
		"":                                     nil,
		`agents.a.tools."docs.search".timeout`: {"agents", "a", "tools", "docs.search", "timeout"},
		"command[0]":                           {"command", "[0]"},
		`a."".b`:                               {"a", "", "b"},
	} {
		if got := joinPath(path); got != want {
			t.Errorf("%v is %s, want %s", path, got, want)
		}
	}
}

func TestExpand(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"s": "from file\n", "two": "a\n\n", "crlf": "x\r\n",
		"big": strings.Repeat("x", maxSecret+1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	vars := map[string]string{"A": "1", "EMPTY": "", "NEST": "${env:A}"}
	e := &expander{dir: dir, lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
	for _, tc := range []struct{ in, clear, masked, err string }{
		{"plain $A $ {", "plain $A $ {", "plain $A $ {", ""},
		{"${env:A}", "1", "***", ""},
		{"a${env:A}b${env:A}c", "a1b1c", "a***b***c", ""},
		{"${env:EMPTY}", "", "", ""},
		{"${env:NEST}", "${env:A}", "***", ""},
		{"$${env:A}", "${env:A}", "${env:A}", ""},
		{"$$${env:A}", "$${env:A}", "$${env:A}", ""},
		{"${file:s}", "from file", "***", ""},
		{"${file:" + filepath.Join(dir, "s") + "}", "from file", "***", ""},
		{"${file:two}|${file:crlf}", "a\n|x", "***|***", ""},
		{"${file:nope}", "", "", "${file:nope}: there is no such file"},
		{"${file:.}", "", "", "is not a regular file"},
		{"${file:big}", "", "", "larger than 1 MiB"},
		{"${env:NOPE}", "", "", "the environment variable NOPE is not set"},
		{"${env:A", "", "", "without a closing }"},
		{"${A}", "", "", "unknown reference ${A}"},
		{"${}", "", "", "unknown reference ${}"},
	} {
		clear, masked, err := e.text(tc.in)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: %v, want %s", tc.in, err, tc.err)
			}
			continue
		}
		if err != nil || clear != tc.clear || masked != tc.masked {
			t.Errorf("%s: %q, %q, %v; want %q, %q", tc.in, clear, masked, err, tc.clear, tc.masked)
		}
	}
}

// FuzzExpand: no panic, a text without ${ is left alone, and no value is in the masked text.
func FuzzExpand(f *testing.F) {
	for _, s := range []string{"", "${env:A}", "$${env:A}", "${env:A", "$$$${{}}", "x${env:B}${env:A}"} {
		f.Add(s)
	}
	const secret = "\x01secret\x01"
	e := &expander{dir: f.TempDir(), lookup: func(name string) (string, bool) { return secret, name == "A" }}
	f.Fuzz(func(t *testing.T, s string) {
		e.secrets = nil
		clear, masked, err := e.text(s)
		switch {
		case err != nil:
		case !strings.Contains(s, "${") && (clear != s || masked != s):
			t.Fatalf("%q became %q", s, clear)
		case strings.Count(masked, secret) != strings.Count(s, secret):
			t.Fatalf("%q shows a secret: %q", s, masked)
		case strings.Count(clear, secret) < len(e.secrets):
			t.Fatalf("%q lost a value: %q", s, clear)
		}
	})
}

func TestSplitSet(t *testing.T) {
	for _, tc := range []struct {
		arg   string
		path  []string
		value string
	}{
		{"a=1", []string{"a"}, "1"},
		{"a.b.c=x=y", []string{"a", "b", "c"}, "x=y"},
		{`agents.s.tools."docs.search".timeout=3s`, []string{"agents", "s", "tools", "docs.search", "timeout"}, "3s"},
		{`"a=b"."c\"d"=`, []string{"a=b", `c"d`}, ""},
		{"a = x ", []string{"a"}, " x "},
	} {
		path, value, err := splitSet(tc.arg)
		if err != nil || !slices.Equal(path, tc.path) || value != tc.value {
			t.Errorf("%s: %q, %q, %v", tc.arg, path, value, err)
		}
	}
	for _, arg := range []string{"", "a", "=", "a.=1", ".a=1", "a..b=1", `"a=1`, `""=1`, `"a"b=1`, `a"b"=1`} {
		if path, value, err := splitSet(arg); err == nil {
			t.Errorf("%q: %q, %q", arg, path, value)
		}
	}
}

// FuzzSplitSet: no panic; what is split can be written and split again.
func FuzzSplitSet(f *testing.F) {
	for _, s := range []string{"a=1", `a."b.c"=x`, `"`, `a."b`, "a.b", "=", `"\x41".é=1`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		path, value, err := splitSet(arg)
		if err != nil {
			return
		}
		var quoted []string
		for _, seg := range path {
			quoted = append(quoted, fmt.Sprintf("%q", seg))
		}
		again, value2, err := splitSet(strings.Join(quoted, ".") + "=" + value)
		if err != nil || !slices.Equal(path, again) || value != value2 {
			t.Fatalf("%q: %q, %q; again %q, %q, %v", arg, path, value, again, value2, err)
		}
		tree := newTree()
		layer, problems := tree.assign(path, value, reflect.TypeFor[string](), Position{Set: "x"})
		if tree.add(layer); len(problems) > 0 || tree.at(path...) == nil {
			t.Fatalf("%q: text cannot be set: %v", arg, problems)
		}
	})
}

func TestSplitEnv(t *testing.T) {
	for name, want := range map[string]string{
		"OPENMAS_CONFIG__agents__a__timeout": "agents/a/timeout", "OPENMAS_CONFIG__a_b__C": "a_b/C",
		"OPENMAS_CONFIG_a": "-", "PATH": "-",
		"OPENMAS_CONFIG__": "!", "OPENMAS_CONFIG__a____b": "!", "OPENMAS_CONFIG__a__": "!",
	} {
		path, ok, err := splitEnv(name)
		got := strings.Join(path, "/")
		switch {
		case err != nil:
			got = "!"
		case !ok:
			got = "-"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// FuzzParse: no panic, and what is parsed has a place for everything.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"a: 1", "- [a, {b: c}]", "a: &x\n  b: *x\n", "? a\n: |\n  x\n", "<<: {a: b}\n", "\ta",
		"!!str", "a: !!str {}", "---\n...\n---\n", "%YAML", "&a", "a: -", "{a, b}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tree := newTree()
		v, problems := tree.parse("p.yaml", data)
		var walk func(path []string, v any)
		walk = func(path []string, v any) {
			switch v := v.(type) {
			case nil:
				if len(path) > 0 {
					t.Fatalf("%q: nothing at %q", data, path)
				}
			case map[string]any:
				if tree.places[strings.Join(path, "\x00")].pos.Line == 0 {
					t.Fatalf("%q: the mapping %q without a place", data, path)
				}
				for name, c := range v {
					walk(below(path, name), c)
				}
			case *leaf:
				items, _ := v.value.([]any)
				for i, c := range items {
					walk(below(path, item(i)), c)
				}
				if v.pos.File == "" || v.pos.Line == 0 {
					t.Fatalf("%q: %q without a place: %+v", data, path, v)
				}
			}
		}
		walk(nil, v)
		for _, p := range problems {
			if p.Pos.File == "" || p.Message == "" {
				t.Fatalf("%q: %+v", data, p)
			}
		}
		plain(v)
	})
}
