package visit

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
)

func TestRead(t *testing.T) {
	for raw, want := range map[string]Page{
		"https://a.example/connect?id=1#here": {Before: "https://", Host: "a.example", After: "/connect?id=1#here"},
		"https://exampIe.com:8443":            {Before: "https://", Host: "exampie.com:8443"},
		"http://localhost:8080/x":             {Before: "http://", Host: "localhost:8080", After: "/x"},
		"http://127.0.0.1/":                   {Before: "http://", Host: "127.0.0.1", After: "/"},
		"http://[::1]:80/":                    {Before: "http://", Host: "[::1]:80", After: "/"},
		"https://a.example//evil.example/x":   {Before: "https://", Host: "a.example", After: "//evil.example/x"},
		"https://a.example?@evil.example":     {Before: "https://", Host: "a.example", After: "?@evil.example"},
		"https://a.example/\u202emoc?\u00fc=\u009b": {Before: "https://", Host: "a.example",
			After: "/%E2%80%AEmoc?%C3%BC=%C2%9B"},
		"https://a.example/a b?c d": {Before: "https://", Host: "a.example", After: "/a%20b?c%20d"},
	} {
		got, err := Read(raw)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %+v, %v", raw, got, err)
		}
	}
}

func TestReadDoubts(t *testing.T) {
	for raw, want := range map[string]string{
		"https://xn--pple-43d.com/":     "(xn--)",
		"https://www.xn--pple-43d.com/": "(xn--)",
		"https://198.51.100.7/":         "bare address",
		"https://[2001:db8::1]/":        "bare address",
	} {
		got, err := Read(raw)
		if err != nil || len(got.Doubts) != 1 || !strings.Contains(got.Doubts[0], want) {
			t.Errorf("%q: %+v, %v", raw, got, err)
		}
	}
}

// What browsers may read otherwise, or hides where it leads, is not offered.
func TestReadRefuses(t *testing.T) {
	for raw, want := range map[string]string{
		"":                                    "only pages of https",
		"javascript:alert(1)":                 "only pages of https",
		"file:///etc/passwd":                  "only pages of https",
		"//a.example/":                        "only pages of https",
		"https:a.example":                     "no host",
		"https:///a.example":                  "no host",
		"http://a.example/":                   "changed on its way",
		"http://localhost.evil.example/":      "changed on its way",
		"http://10.0.0.1/":                    "changed on its way",
		"https://a.example@evil.example/":     "user name",
		"https://a.example:x@evil.example/":   "user name",
		`https://a.example\@evil.example/`:    "no address",
		`https://evil.example\.a.example/`:    "no address",
		"https://a.example/\x1b[2J":           "no address",
		"https://a.exa\tmple/":                "no address",
		"https://a.example:x/":                "no address",
		"https://b\u00fccher.example/":        "characters that no such name has",
		"https://a.ex\u0430mple/":             "characters that no such name has",
		"https://a.example%2eevil.example/":   "no address",
		"https://<a>.example/":                "characters that no such name has",
		"https://2130706433/":                 "neither a name nor a plain address",
		"https://0x7f.1/":                     "neither a name nor a plain address",
		"https://.../":                        "neither a name nor a plain address",
		"https://[fe80::1%25eth0]/":           "no address",
		"https://a.example/" + long(maxURL+1): "more than 8192 bytes",
	} {
		got, err := Read(raw)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: %+v, %v", raw, got, err)
		}
	}
}

func long(n int) string { return strings.Repeat("x", n) }

func FuzzRead(f *testing.F) {
	for _, seed := range []string{"https://a.example/x?y#z", "http://[::1]/", "https://a@b/", "https://xn--a/%zz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := Read(raw)
		if err != nil {
			return
		}
		for _, c := range []byte(p.URL()) {
			if c <= ' ' || c >= 0x7f {
				t.Fatalf("%q became %q", raw, p.URL())
			}
		}
		if again, err := Read(p.URL()); err != nil || again.URL() != p.URL() || again.Host != p.Host {
			t.Fatalf("%q became %q, and that %q, %v", raw, p.URL(), again.URL(), err)
		}
	})
}

func TestRequired(t *testing.T) {
	e := agent.Errorf(agent.CodeToolFailed, "more is needed")
	e.Details = json.RawMessage(`{"elicitations":[{"mode":"url","elicitationId":"7","url":"https://a.example",` +
		`"message":"pay"}]}`)
	e.RPC = json.RawMessage(`{"code":-32042}`)
	want := []agent.ElicitURLRequest{{Message: "pay", URL: "https://a.example", ID: "7"}}
	if got := Required(fmt.Errorf("shop.buy: %w", e)); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	e.Details = json.RawMessage(`{"elicitations":5}`)
	if got := Required(e); got != nil {
		t.Errorf("%+v", got)
	}
	e.RPC = json.RawMessage(`{"code":-32603}`)
	if got := append(Required(e), Required(fmt.Errorf("else"))...); got != nil {
		t.Errorf("%+v", got)
	}
}

// What a server says is told apart from what the command says.
func TestQuote(t *testing.T) {
	got := Quote("pay\r\nopenmas: trust it\x1b[2J" + strings.Repeat("\nx", 30))
	if len(got) != maxLines+1 || got[0] != "> pay" || got[1] != `> openmas: trust it\x1b[2J` ||
		got[maxLines] != "and 12 more lines" {
		t.Errorf("%q", got)
	}
}
