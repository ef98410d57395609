package project

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/openmas/openmas/agent"
)

// TokenUser is the identity that the gateway's one token stands for.
const TokenUser = "user"

// Gateway is the HTTP listener that offers agents to the MCP world.
type Gateway struct {
	// Address to listen on, as host:port. Port 0 takes a free one. An address that other machines
	// reach needs a token.
	Listen string `yaml:"listen" default:"127.0.0.1:8765"`
	// Agents ("editor") and single tools ("notes.search") that clients see. Left out: all.
	//
	// Empty but not nil: nothing but the runtime's own.
	Expose []string `yaml:"expose"`
	// Token that clients send as "Authorization: Bearer", for all but health checks. Who has it is
	// called "user". Without it, and without tokens, everybody is "anonymous".
	Token string `yaml:"token" secret:"yes"`
	// More tokens, each under the name of who has it. A session belongs to the name that opened it.
	Tokens map[string]string `yaml:"tokens" secret:"yes"`
	// Host names, besides localhost, that requests to a loopback listener may have: those of a
	// reverse proxy.
	Hosts []string `yaml:"hosts"`
	// Web origins whose pages may use the gateway, like "https://app.example.org".
	Origins []string `yaml:"origins"`
}

// Ops is the HTTP listener for those who watch a process and call none of its tools: GET /livez,
// /readyz and /metrics.
type Ops struct {
	// Address to listen on, as host:port. Port 0 takes a free one. An address that other machines
	// reach needs a token.
	Listen string `yaml:"listen" default:"127.0.0.1:9464"`
	// Token that scrapers send as "Authorization: Bearer". Probes need none, but are not told the
	// reason then. It calls no tool, and must not be one of the gateway's.
	Token string `yaml:"token" secret:"yes"`
}

// listener checks an address to listen on, and the token without which it is for loopback only. any
// reports whether there are other tokens.
func (v *validator) listener(section, who, addr, token string, any bool) {
	listen, key := []string{section, "listen"}, []string{section, "token"}
	if v.address(listen, addr) && !onLoopback(addr) && token == "" && !any {
		v.fail(listen, fmt.Sprintf(`write %s: {token: "${env:OPENMAS_TOKEN}"}, or listen on 127.0.0.1`, section),
			"%s can be reached from other machines, so %s need a token", v.quote(listen, addr), who)
	}
	if token != "" || v.said(key) { // an empty variable must not open the door
		v.ownToken(key, token)
	}
}

func (v *validator) ops(o *Ops, g *Gateway) {
	if o == nil {
		return
	}
	v.listener("ops", "scrapers", o.Listen, o.Token, false)
	if g == nil {
		return
	}
	if _, port, _ := net.SplitHostPort(o.Listen); o.Listen == g.Listen && port != "0" {
		v.fail([]string{"ops", "listen"}, "choose another port", "%s is the gateway's",
			v.quote([]string{"ops", "listen"}, o.Listen))
	}
	if o.Token != "" && (o.Token == g.Token || slices.Contains(slices.Collect(maps.Values(g.Tokens)), o.Token)) {
		v.fail([]string{"ops", "token"}, "give scrapers one of their own", "the token opens the gateway too")
	}
}

func (v *validator) gateway(g *Gateway) {
	if g == nil {
		return
	}
	at := func(key ...string) []string { return append([]string{"gateway"}, key...) }
	v.listener("gateway", "clients", g.Listen, g.Token, len(g.Tokens) > 0)
	v.tokens(at("tokens"), g)
	for i, host := range g.Hosts {
		if keys := at("hosts", item(i)); host == "" || strings.ContainsAny(host, ":/ ") {
			v.fail(keys, `write a name without a port, like "agents.example.org"`, "%s is not a host name",
				v.quote(keys, host))
		}
	}
	for i, origin := range g.Origins {
		keys := at("origins", item(i))
		if u, err := url.Parse(origin); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" ||
			u.RawQuery != "" || u.User != nil {
			v.fail(keys, `write scheme://host, like "https://app.example.org"`, "%s is not a web origin",
				v.quote(keys, origin))
		}
	}
	for i, entry := range g.Expose {
		keys := at("expose", item(i))
		// Whether there is such an agent with such a tool is found out together with all else that
		// needs the agents' types.
		if _, tool, cut := strings.Cut(entry, "."); cut && tool == "" {
			v.fail(keys, "write agent or agent.tool", "the tool after the dot is missing")
		}
	}
}

func (v *validator) tokens(path []string, g *Gateway) {
	seen := map[string]bool{g.Token: g.Token != ""}
	for _, name := range sortedKeys(g.Tokens) {
		keys, token := below(path, name), g.Tokens[name]
		switch {
		case !validName.MatchString(name):
			v.fail(keys, nameRule, "%q is not a name", name)
		case name == agent.Anonymous || name == runtimeAgent || name == TokenUser && g.Token != "":
			v.fail(keys, "", "the name %q is taken", name)
		case v.ownToken(keys, token) && seen[token]:
			v.fail(keys, "give everybody a token of their own", "the token stands for somebody else already")
		}
		seen[token] = true
	}
}

// token checks what goes into an Authorization header. The message never shows it.
func (v *validator) token(keys []string, token string) bool {
	if token == "" {
		v.fail(keys, "leave the key out where no token is wanted", "the token is empty")
		return false
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		v.fail(keys, "", "a token is made of printable ASCII characters without spaces")
		return false
	}
	return true
}

// minToken is the least number of characters of a token that lets clients in.
const minToken = 16

// ownToken checks one that lets clients in.
func (v *validator) ownToken(keys []string, token string) bool {
	if !v.token(keys, token) {
		return false
	}
	if len(token) < minToken {
		v.fail(keys, `make one with "openssl rand -hex 32"`, "a token of %d characters can be guessed: it needs at least %d",
			len(token), minToken)
		return false
	}
	return true
}

// onLoopback reports whether only this machine can reach a listener.
func onLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
