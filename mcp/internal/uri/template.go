package uri

import (
	"fmt"
	"regexp"
	"strings"
)

// A Template is a template of URIs, in any form of RFC 6570. It matches whatever the template can
// stand for, and more: it says which server to ask, and that server knows what it means. Libraries
// for templates are exact, and refuse what servers take: parameters in another order or left out, a
// path of several parts for one variable that is exploded.
type Template struct {
	re       *regexp.Regexp
	literals int
}

// maxTemplate bounds the templates that are matched, in bytes.
const maxTemplate = 8 << 10

// ParseTemplate reads a template. One with braces that do not close has no matches.
func ParseTemplate(t string) (*Template, error) {
	if len(t) > maxTemplate {
		return nil, fmt.Errorf("a template of %d bytes is over the limit of %d", len(t), maxTemplate)
	}
	out := &Template{}
	var b strings.Builder
	b.WriteString("(?s)^")
	for rest := t; rest != ""; {
		lit, expr, found := strings.Cut(rest, "{")
		out.literals += len(lit)
		b.WriteString(regexp.QuoteMeta(lit))
		if !found {
			break
		}
		expr, after, closed := strings.Cut(expr, "}")
		if !closed || strings.Trim(expr, "+#./;?&*") == "" {
			return nil, fmt.Errorf("template %q: {%s is no expression", t, expr)
		}
		b.WriteString(pattern(expr))
		rest = after
	}
	b.WriteString("$")
	var err error
	if out.re, err = regexp.Compile(b.String()); err != nil {
		return nil, fmt.Errorf("template %q: %w", t, err)
	}
	return out, nil
}

// pattern is what an expression may stand for.
func pattern(expr string) string {
	switch expr[0] {
	case '+':
		return ".+"
	case '#':
		return "(?:#.*)?"
	case '.':
		return `(?:\.[^/?#]*)?`
	case '/':
		return "(?:/[^?#]*)?"
	case ';':
		return "(?:;[^/?#]*)?"
	case '?':
		return `(?:\?[^#]*)?`
	case '&':
		return "(?:&[^#]*)?"
	}
	if strings.HasSuffix(expr, "*") { // servers read {path*} as the rest of the path
		return ".+"
	}
	return "[^/?#]+"
}

// Match is the spelling of a URI that the template stands for: as the client sent it, or as it was
// before the client escaped it.
func (t *Template) Match(uri string) (spelled string, ok bool) {
	if t.re.MatchString(uri) {
		return uri, true
	}
	scheme, rest := cutScheme(uri)
	if plain := scheme + decode(rest); t.re.MatchString(plain) {
		return plain, true
	}
	if plain := Canonical(uri); t.re.MatchString(plain) {
		return plain, true
	}
	return "", false
}

// Literals is how much of the template is literal: of two that match, the one with more is meant.
func (t *Template) Literals() int { return t.literals }
