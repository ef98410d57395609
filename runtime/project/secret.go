package project

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// isSecret reports whether the value of a key is one, even where it was written down plainly.
func isSecret(path []string) bool {
	switch {
	case len(path) == 2 && path[0] == "gateway":
		return path[1] == "token"
	case len(path) == 2 && path[0] == "broker":
		return path[1] == "password" || path[1] == "token"
	case len(path) == 3 && path[0] == "gateway":
		return path[1] == "tokens"
	case len(path) == 3 && path[0] == "agents":
		return path[2] == "token"
	case len(path) == 4 && path[0] == "agents":
		return path[2] == "oauth" && path[3] == "client_secret"
	}
	return false
}

// secrets are the values of such keys.
func (c *Config) secrets() []string {
	out := []string{c.Broker.Password, c.Broker.Token}
	if g := c.Gateway; g != nil {
		out = append(out, g.Token)
		for _, token := range g.Tokens {
			out = append(out, token)
		}
	}
	for _, a := range c.Agents {
		out = append(out, a.Token, a.OAuth.ClientSecret)
	}
	return out
}

// Redact returns s with *** for every secret of the configuration: what ${env:…} or ${file:…} put
// there, and the values of keys that are made for a secret, such as token. Values of fewer than 6
// characters are left alone: replacing them would garble every text, and they protect nothing. A
// Config that was not loaded knows its secrets once it has gone through [New], which has a copy of
// its own. Safe for concurrent use.
func (c *Config) Redact(s string) string {
	if c.redact == nil {
		return s
	}
	return c.redact.Replace(s)
}

// redactor replaces secrets, and the ways they look inside quotes, longest first.
func redactor(secrets []string) *strings.Replacer {
	var words []string
	for _, s := range secrets {
		if len(s) < 6 {
			continue
		}
		quoted := strconv.Quote(s)
		words = append(words, s, quoted[1:len(quoted)-1])
		if j, err := json.Marshal(s); err == nil {
			words = append(words, string(j[1:len(j)-1]))
		}
	}
	if len(words) == 0 {
		return nil
	}
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, w := range words {
		pairs = append(pairs, w, "***")
	}
	return strings.NewReplacer(pairs...)
}
