package schema

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// maxPattern bounds a pattern, in bytes: the time to read one can grow with the square of its
// length.
const maxPattern = 16 << 10

// scripted takes the regular expressions that clients written in JavaScript can compile, with the
// flag u: one that they cannot makes them refuse the whole list.
func scripted(s string) (jsonschema.Regexp, error) {
	if len(s) > maxPattern {
		return nil, fmt.Errorf("the pattern %.80q has %d bytes, at most %d are read", s, len(s), maxPattern)
	}
	p := pattern{escapes: escapes{in: []rune(s), names: groupNames(s)}}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("the pattern %.80q is none of JavaScript: %w", s, err)
	}
	return anyRegexp(s), nil
}

// A pattern is a regular expression that is read by the grammar of ECMA-262 (2024), section 22.2.1,
// as it is with the flag u.
type pattern struct {
	escapes
	groups int // so far
}

func (p *pattern) check() error {
	if i := slices.IndexFunc(p.names, func(n string) bool { return !isName(n) }); i >= 0 {
		return fmt.Errorf("%q is no name of a group", p.names[i])
	}
	if len(slices.Compact(slices.Sorted(slices.Values(p.names)))) < len(p.names) {
		return fmt.Errorf("two groups have one name")
	}
	if err := p.disjunction(0); err != nil {
		return err
	}
	if p.at < len(p.in) {
		return p.unexpected()
	}
	if p.highest > p.groups {
		return fmt.Errorf(`\%d refers to no group`, p.highest)
	}
	return nil
}

// groupNames finds what stands between (?< and >, outside of classes and after no backslash.
func groupNames(s string) (names []string) {
	class := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case class:
			class = s[i] != ']'
		case s[i] == '[':
			class = true
		default:
			rest, ok := strings.CutPrefix(s[i:], "(?<")
			if !ok || strings.HasPrefix(rest, "=") || strings.HasPrefix(rest, "!") {
				continue
			}
			name, _, _ := strings.Cut(rest, ">")
			names = append(names, name)
		}
	}
	return names
}

func isName(s string) bool {
	for i, r := range s {
		if !(r == '_' || r == '$' || unicode.IsLetter(r) || i > 0 && unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}

// maxGroups bounds how deep groups nest.
const maxGroups = 200

func (p *pattern) disjunction(depth int) error {
	if depth > maxGroups {
		return fmt.Errorf("its groups nest too deep")
	}
	for {
		switch c := p.peek(); c {
		case -1, ')':
			return nil
		case '|':
			p.at++
			continue
		}
		if err := p.term(depth); err != nil {
			return err
		}
	}
}

// term reads an assertion, or an atom with its quantifier.
func (p *pattern) term(depth int) error {
	quantifiable := true
	switch c := p.peek(); {
	case c == '^' || c == '$':
		p.at++
		quantifiable = false
	case c == '(':
		p.at++
		assertion, err := p.group(depth)
		if err != nil {
			return err
		}
		quantifiable = !assertion
	case c == '[':
		p.at++
		if err := p.class(); err != nil {
			return err
		}
	case c == '\\':
		p.at++
		if p.take("b") || p.take("B") {
			quantifiable = false
			break
		}
		if _, err := p.escape(false); err != nil {
			return err
		}
	case strings.ContainsRune("*+?{}]", c):
		return p.unexpected()
	default:
		p.at++
	}
	if !strings.ContainsRune("*+?{", p.peek()) || p.peek() == -1 {
		return nil
	}
	if !quantifiable {
		return p.unexpected()
	}
	return p.quantifier()
}

// group reads what follows a bracket. assertion: it looks ahead or behind.
func (p *pattern) group(depth int) (assertion bool, err error) {
	if p.take("?") {
		switch {
		case p.take(":"):
		case p.take("="), p.take("!"), p.take("<="), p.take("<!"):
			assertion = true
		case p.take("<"):
			for !p.take(">") {
				if p.peek() == -1 {
					return false, p.unexpected()
				}
				p.at++
			}
			p.groups++
		default:
			return false, p.unexpected()
		}
	} else {
		p.groups++
	}
	if err := p.disjunction(depth + 1); err != nil {
		return false, err
	}
	if !p.take(")") {
		return false, p.unexpected()
	}
	return assertion, nil
}

func (p *pattern) quantifier() error {
	if p.take("{") {
		least, ok := p.number()
		if !ok {
			return p.unexpected()
		}
		if p.take(",") {
			if most, ok := p.number(); ok && (len(most) < len(least) || len(most) == len(least) && most < least) {
				return fmt.Errorf("{%s,%s} is no range", least, most)
			}
		}
		if !p.take("}") {
			return p.unexpected()
		}
	} else {
		p.at++
	}
	p.take("?")
	return nil
}

// class reads what follows an opening bracket.
func (p *pattern) class() error {
	p.take("^")
	for !p.take("]") {
		first, err := p.classAtom()
		if err != nil {
			return err
		}
		if p.peek() != '-' || p.at+1 < len(p.in) && p.in[p.at+1] == ']' {
			continue
		}
		p.at++
		last, err := p.classAtom()
		switch {
		case err != nil:
			return err
		case first < 0 || last < 0 || first > last:
			return fmt.Errorf("a range of a class at %d is none", p.at)
		}
	}
	return nil
}

// classAtom is a character; negative: a class of them.
func (p *pattern) classAtom() (rune, error) {
	switch c := p.peek(); {
	case c == -1:
		return 0, p.unexpected()
	case c != '\\':
		p.at++
		return c, nil
	}
	p.at++
	switch {
	case p.take("b"):
		return '\b', nil
	case p.take("-"):
		return '-', nil
	}
	return p.escape(true)
}
