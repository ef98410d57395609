// Package uri compares the URIs of resources as servers write them with what clients send, and
// matches them with templates.
package uri

import (
	"errors"
	"net/url"
	"strings"
)

// Check refuses what clients do not take for a URI; some of them refuse a whole list for one.
func Check(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.Unwrap(err) // without the URI again
	case u.Scheme == "":
		return errors.New("it has no scheme, as in file:///x")
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host == "":
		return errors.New("it has no host")
	}
	return nil
}

// Canonical is one spelling for all that clients make of a URI when they parse and write it:
// schemes and hosts in lower case, escapes decoded where that changes no meaning, no slash at the
// end. It is for comparing only.
func Canonical(s string) string {
	scheme, rest := cutScheme(s)
	var b strings.Builder
	b.WriteString(strings.ToLower(scheme))
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		end := strings.IndexAny(after, "/?#")
		if end < 0 {
			end = len(after)
		}
		b.WriteString("//" + strings.ToLower(decode(after[:end])))
		rest = after[end:]
	}
	b.WriteString(decode(rest))
	out := b.String()
	if !strings.ContainsAny(rest, "?#") {
		out = strings.TrimSuffix(out, "/")
	}
	return out
}

// cutScheme cuts "scheme:" off.
func cutScheme(s string) (scheme, rest string) {
	for i := range len(s) {
		switch c := s[i]; {
		case c == ':' && i > 0:
			return s[:i+1], s[i+1:]
		case c|0x20 >= 'a' && c|0x20 <= 'z', i > 0 && (c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.'):
		default:
			return "", s
		}
	}
	return "", s
}

// decode decodes what is escaped, except what would mean something else then.
func decode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi >= 0 && lo >= 0 {
				c := byte(hi<<4 | lo)
				if strings.IndexByte(reserved, c) >= 0 || c < 0x20 {
					b.WriteString("%" + strings.ToUpper(s[i+1:i+3]))
				} else {
					b.WriteByte(c)
				}
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

const reserved = "%/?#[]@:!$&'()*+,;="

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// AtAgent is the URI, or template, of an agent's resource where another agent has the same: with
// the agent's name in front of what follows the scheme, as in ui://AGENT/view.html.
func AtAgent(uri, agent string) string {
	scheme, rest := cutScheme(uri)
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		scheme, rest = scheme+"//", after
	}
	return scheme + agent + "/" + rest
}

// CutAgent is AtAgent in the other direction.
func CutAgent(uri string) (agent, rest string, ok bool) {
	scheme, rest := cutScheme(uri)
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		scheme, rest = scheme+"//", after
	}
	agent, rest, ok = strings.Cut(rest, "/")
	return agent, scheme + rest, ok
}
