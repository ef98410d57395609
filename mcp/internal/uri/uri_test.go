package uri_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/openmas/openmas/mcp/internal/uri"
)

func TestCanonical(t *testing.T) {
	for _, c := range []struct{ listed, sent string }{
		{"file:///a b/ü.txt", "file:///a%20b/%C3%BC.txt"},
		{"file:///a b/ü.txt", "file:///a%20b/%c3%bc.txt"},
		{"http://example.org", "http://example.org/"},
		{"http://Example.ORG/Path", "http://example.org/Path"},
		{"MEMO://Insights", "memo://insights"},
		{"x://a/%7Euser", "x://a/~user"},
		{"x://a/b{c}", "x://a/b%7Bc%7D"},
		{"x://a/%2Fb", "x://a/%2fb"},
		{"urn:isbn:1", "URN:isbn:1"},
	} {
		if got, want := uri.Canonical(c.sent), uri.Canonical(c.listed); got != want {
			t.Errorf("%s is %s, %s is %s", c.sent, got, c.listed, want)
		}
	}
	for _, c := range [][2]string{{"x://a/b", "x://a/B"}, {"x://a/%2Fb", "x://a//b"}, {"x://a?q=/", "x://a?q="},
		{"x://a", "y://a"},
		{"x://a/b?c", "x://a/b%3Fc"}} {
		if uri.Canonical(c[0]) == uri.Canonical(c[1]) {
			t.Errorf("%s and %s are one", c[0], c[1])
		}
	}
}

func TestAtAgent(t *testing.T) {
	for _, c := range []struct{ own, at string }{
		{"ui://weather/view.html", "ui://b/weather/view.html"},
		{"file:///x/y", "file://b//x/y"},
		{"urn:isbn:1", "urn:b/isbn:1"},
		{"repo://{owner}/{repo}", "repo://b/{owner}/{repo}"},
		{"{+all}", "b/{+all}"},
	} {
		if got := uri.AtAgent(c.own, "b"); got != c.at {
			t.Errorf("%s: %s, want %s", c.own, got, c.at)
		}
		if a, own, ok := uri.CutAgent(c.at); !ok || a != "b" || own != c.own {
			t.Errorf("%s: %s %s %v", c.at, a, own, ok)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		own := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z]+:(//)?[a-z/:]*`)).Draw(t, "uri")
		if a, back, ok := uri.CutAgent(uri.AtAgent(own, "b")); !ok || a != "b" || back != own {
			t.Fatalf("%q: %q %q %v", own, a, back, ok)
		}
	})
}

func TestTemplates(t *testing.T) {
	for _, c := range []struct {
		template string
		yes, no  []string
	}{
		{"plain://{id}", []string{"plain://7", "plain://a%20b", "plain://ü"},
			[]string{"plain://a/b", "plain://", "other://7", "plain://a?b"}},
		{"my://{user-id}/{a.b}", []string{"my://42/x"}, []string{"my://42"}},
		{"two://{a}/{a}", []string{"two://q/q"}, []string{"two://q"}},
		{"pre://{name:3}", []string{"pre://abc"}, nil},
		{"plus://{+path}", []string{"plus://a/b/c", "plus://a?b#c"}, []string{"plus:/a"}},
		{"frag://x{#section}", []string{"frag://x#s1", "frag://x"}, []string{"frag://xy"}},
		{"repo://{owner}/{repo}/contents{/path*}",
			[]string{"repo://me/app/contents/src/main.go", "repo://me/app/contents"},
			[]string{"repo://me/app/other", "repo://me/app/contentsx"}},
		{"shop://store/products{?query,page,limit}",
			[]string{"shop://store/products?query=ssd", "shop://store/products",
				"shop://store/products?limit=1&page=2"}, []string{"shop://store/products/1"}},
		{"x://a?fixed=1{&more}", []string{"x://a?fixed=1&more=2", "x://a?fixed=1"}, []string{"x://a"}},
		{"dot://x{.ext}", []string{"dot://x.json", "dot://x"}, []string{"dot://xjson"}},
		{"par://x{;a,b}", []string{"par://x;a=1;b=2", "par://x;a"}, []string{"par://xa"}},
		{"all://{path*}", []string{"all://a/b"}, nil},
		{"list://{a,b}", []string{"list://1,2"}, nil},
		{"file:///my files/{name}", []string{"file:///my%20files/x", "file:///my files/x"}, nil},
		{"HTTP://Example.org/{x}", []string{"HTTP://Example.org/1"}, nil},
		{"http://example.org/{x}", []string{"HTTP://Example.org/1"}, nil},
	} {
		tmpl, err := uri.ParseTemplate(c.template)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, u := range c.yes {
			if _, ok := tmpl.Match(u); !ok {
				t.Errorf("%s does not match %s", c.template, u)
			}
		}
		for _, u := range c.no {
			if _, ok := tmpl.Match(u); ok {
				t.Errorf("%s matches %s", c.template, u)
			}
		}
	}
	if tmpl, _ := uri.ParseTemplate("file:///my files/{name}"); tmpl.Literals() != len("file:///my files/") {
		t.Error("literals")
	} else if s, ok := tmpl.Match("file:///my%20files/x"); !ok || s != "file:///my files/x" {
		t.Errorf("%q: the server does not know this spelling", s)
	}
	for _, bad := range []string{"x://{a", "x://{}", "x://{+}"} {
		if _, err := uri.ParseTemplate(bad); err == nil {
			t.Errorf("%s is a template", bad)
		}
	}
}
