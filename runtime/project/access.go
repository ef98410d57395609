package project

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// surroundings checks what a child process is given.
func (v *validator) surroundings(keys []string, a *Agent) {
	for _, name := range sortedKeys(a.Env) {
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(a.Env[name], "\x00"):
			v.fail(below(keys, "env", name), "", "is not an environment variable")
		case name == "OPENMAS_URL" || name == "OPENMAS_TOKEN":
			v.fail(below(keys, "env", name), "", "openmas sets this variable itself")
		}
	}
	if len(a.Command) > 0 && a.Command[0] == "" {
		v.fail(below(keys, "command", item(0)), "", "the program is empty")
	}
	for i, arg := range a.Command {
		if strings.Contains(arg, "\x00") {
			v.fail(below(keys, "command", item(i)), "", "contains a NUL character")
		}
	}
}

// access checks what goes with an HTTP connection, and what is asked of servers that are not ours.
func (v *validator) access(keys []string, a *Agent) {
	at := func(key ...string) []string { return below(keys, key...) }
	if a.URL != "" {
		v.url(at("url"), a.URL)
	}
	for _, name := range sortedKeys(a.Headers) {
		if !headerName.MatchString(name) || hasControl(a.Headers[name]) {
			v.fail(at("headers", name), "", "is not a valid HTTP header")
		}
	}
	auth := slices.ContainsFunc(sortedKeys(a.Headers), func(h string) bool {
		return strings.EqualFold(h, "Authorization")
	})
	if a.URL != "" && (a.Token != "" || v.c.Position(at("token")...) != (Position{})) {
		if v.token(at("token"), a.Token) && auth {
			v.fail(at("token"), "keep one of them", "headers has an Authorization as well")
		}
	}
	if o := a.OAuth; o != (OAuth{}) && a.URL != "" {
		switch {
		case o.ClientID == "" || o.ClientSecret == "":
			v.fail(at("oauth"), "", "needs client_id and client_secret")
		case auth || a.Token != "":
			v.fail(at("oauth"), "keep one of them", "there is a token as well")
		}
	}
	if a.URL != "" {
		v.certificate(at("tls"), a.TLS)
	}
	for i, tool := range a.AllowTools {
		if tool == "" {
			v.fail(at("allow_tools", item(i)), "", "the tool's name is empty")
		}
	}
	if a.Protocol != "" && a.Type == "" && a.Communicator == OverSSE {
		v.fail(at("protocol"), "", "has no effect here: mcp-sse speaks no later protocol than 2025-11-25")
	}
}
