package project

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestPositions: keys, values and items stand where an editor would show them.
func TestPositions(t *testing.T) {
	n, problems := Parse("p.yaml", []byte("a: 1\r\nb:\r\n  é: \"x\"\r\n  list:\r\n    - one\r\n    - {k: v}\r\n  "+
		"text: |\r\n    t\r\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for path, want := range map[string]string{
		"a": "1:1 1:4", "b": "2:1 3:3", "b/é": "3:3 3:6", "b/list": "4:3 5:5", "b/list/[0]": "0:0 5:7",
		"b/list/[1]": "0:0 6:7", "b/list/[1]/k": "6:8 6:11", "b/text": "7:3 7:9",
	} {
		at := n.At(strings.Split(path, "/")...)
		if at == nil {
			t.Errorf("%s is not there", path)
			continue
		}
		if got := fmt.Sprintf("%d:%d %d:%d", at.Key.Line, at.Key.Column, at.Pos.Line, at.Pos.Column); got != want {
			t.Errorf("%s at %s, want %s", path, got, want)
		}
	}
	for _, path := range [][]string{{"x"}, {"a", "x"}, {"b", "list", "[2]"}, {"b", "list", "0"},
		{"b", "list", "[0]", "x"}} {
		if n.At(path...) != nil {
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
		if got := JoinPath(path); got != want {
			t.Errorf("%v is %s, want %s", path, got, want)
		}
	}
}

// genMap draws nested maps with nulls, lists and few keys, so that layers collide.
func genMap(depth int) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		out := map[string]any{}
		for range rapid.IntRange(0, 4).Draw(t, "n") {
			key := rapid.SampledFrom([]string{"a", "b", "c.d"}).Draw(t, "key")
			switch kind := rapid.IntRange(0, 4).Draw(t, "kind"); {
			case kind == 0:
				out[key] = nil
			case kind == 1:
				out[key] = []any{int64(1), "x"}
			case kind < 4 && depth > 0:
				out[key] = genMap(depth-1).Draw(t, "map")
			default:
				out[key] = rapid.SampledFrom([]any{"s", int64(2), true, 1.5}).Draw(t, "value")
			}
		}
		return out
	})
}

func fromPlain(v any) *Node {
	switch v := v.(type) {
	case nil:
		return &Node{Kind: Null}
	case []any:
		n := &Node{Kind: List}
		for _, item := range v {
			n.Items = append(n.Items, fromPlain(item))
		}
		return n
	case map[string]any:
		n := NewMap(Position{}, Position{})
		for k, item := range v {
			n.Put(k, fromPlain(item))
		}
		return n
	default:
		return &Node{Kind: Scalar, Value: v}
	}
}

// TestMergeAgrees: positions and values are merged by two functions that must not drift apart.
func TestMergeAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		node := fromPlain(genMap(3).Draw(t, "base"))
		values := node.Plain().(map[string]any)
		for range 3 {
			layer := genMap(3).Draw(t, "layer")
			node.Merge(fromPlain(layer))
			if err := MergeValues(layer, values); err != nil {
				t.Fatal(err)
			}
		}
		if got := node.Plain(); !reflect.DeepEqual(got, values) {
			t.Fatalf("nodes %v\nvalues %v", got, values)
		}
		for _, key := range node.Keys {
			if node.Fields[key] == nil {
				t.Fatalf("key %q without a field", key)
			}
		}
	})
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
	e := &Expander{Dir: dir, Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
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
		clear, masked, err := e.Text(tc.in)
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
	e := &Expander{Dir: f.TempDir(), Lookup: func(name string) (string, bool) { return secret, name == "A" }}
	f.Fuzz(func(t *testing.T, s string) {
		e.Secrets = nil
		clear, masked, err := e.Text(s)
		switch {
		case err != nil:
		case !strings.Contains(s, "${") && (clear != s || masked != s):
			t.Fatalf("%q became %q", s, clear)
		case strings.Count(masked, secret) != strings.Count(s, secret):
			t.Fatalf("%q shows a secret: %q", s, masked)
		case strings.Count(clear, secret) < len(e.Secrets):
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
		path, value, err := SplitSet(tc.arg)
		if err != nil || !slices.Equal(path, tc.path) || value != tc.value {
			t.Errorf("%s: %q, %q, %v", tc.arg, path, value, err)
		}
	}
	for _, arg := range []string{"", "a", "=", "a.=1", ".a=1", "a..b=1", `"a=1`, `""=1`, `"a"b=1`, `a"b"=1`} {
		if path, value, err := SplitSet(arg); err == nil {
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
		path, value, err := SplitSet(arg)
		if err != nil {
			return
		}
		var quoted []string
		for _, seg := range path {
			quoted = append(quoted, fmt.Sprintf("%q", seg))
		}
		again, value2, err := SplitSet(strings.Join(quoted, ".") + "=" + value)
		if err != nil || !slices.Equal(path, again) || value != value2 {
			t.Fatalf("%q: %q, %q; again %q, %q, %v", arg, path, value, again, value2, err)
		}
		layer, problems := Assign(path, value, reflect.TypeFor[string](), Position{Set: "x"})
		if len(problems) > 0 || layer.At(path...) == nil {
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
		path, ok, err := SplitEnv(name)
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
		n, problems := Parse("p.yaml", data)
		if n == nil {
			if len(problems) == 0 {
				t.Fatal("nothing, and no problem")
			}
			return
		}
		var walk func(n *Node)
		walk = func(n *Node) {
			if n == nil || n.Pos.File == "" {
				t.Fatalf("%q: a node without a place: %+v", data, n)
			}
			for _, item := range n.Items {
				walk(item)
			}
			if len(n.Keys) != len(n.Fields) {
				t.Fatalf("%q: keys %q of %d fields", data, n.Keys, len(n.Fields))
			}
			for _, child := range n.Fields {
				walk(child)
			}
		}
		walk(n)
		n.Plain()
	})
}
