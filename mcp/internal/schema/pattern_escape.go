package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// escapes reads the characters of a pattern, and what follows its backslashes.
type escapes struct {
	in    []rune
	at    int
	names []string // of the groups, in their order
	// highest is the highest number of a group that was referred to: there may be none.
	highest int
}

const syntaxChars = `^$\.*+?()[]{}|/`

func (p *escapes) peek() rune {
	if p.at < len(p.in) {
		return p.in[p.at]
	}
	return -1
}

func (p *escapes) take(s string) bool {
	if !strings.HasPrefix(string(p.in[p.at:min(len(p.in), p.at+len(s))]), s) {
		return false
	}
	p.at += len(s)
	return true
}

func (p *escapes) unexpected() error {
	if p.at >= len(p.in) {
		return fmt.Errorf("it ends too early")
	}
	return fmt.Errorf("%q at %d is out of place", p.in[p.at], p.at)
}

// number reads digits, and drops zeros in front.
func (p *escapes) number() (digits string, ok bool) {
	first := p.at
	for p.peek() >= '0' && p.peek() <= '9' {
		p.at++
	}
	return strings.TrimLeft(string(p.in[first:p.at]), "0"), p.at > first
}

// escape reads what follows a backslash, and is as classAtom.
func (p *escapes) escape(inClass bool) (rune, error) {
	c := p.peek()
	p.at++
	switch {
	case c == -1:
		p.at--
		return 0, p.unexpected()
	case strings.ContainsRune("dDsSwW", c):
		return -1, nil
	case c == 'p' || c == 'P':
		return -1, p.property()
	case strings.ContainsRune("fnrtv", c):
		return map[rune]rune{'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}[c], nil
	case strings.ContainsRune(syntaxChars, c):
		return c, nil
	case c == '0' && (p.peek() < '0' || p.peek() > '9'):
		return 0, nil
	case c == 'c' && (p.peek()|0x20) >= 'a' && (p.peek()|0x20) <= 'z':
		p.at++
		return p.in[p.at-1] % 32, nil
	case c == 'x':
		return p.hex(2)
	case c == 'u':
		return p.unicode()
	case c >= '1' && c <= '9' && !inClass:
		p.at--
		digits, _ := p.number()
		n, err := strconv.Atoi(digits)
		p.highest = max(p.highest, n)
		return -1, err
	case c == 'k' && !inClass && p.take("<"):
		name, _, ok := strings.Cut(string(p.in[p.at:]), ">")
		if !ok || !slices.Contains(p.names, name) {
			return 0, fmt.Errorf("%q is the name of no group", name)
		}
		p.at += len([]rune(name)) + 1
		return -1, nil
	}
	p.at -= 2
	return 0, fmt.Errorf(`\%c at %d is no escape`, c, p.at)
}

func (p *escapes) hex(digits int) (rune, error) {
	if p.at+digits > len(p.in) {
		return 0, p.unexpected()
	}
	n, err := strconv.ParseUint(string(p.in[p.at:p.at+digits]), 16, 32)
	p.at += digits
	return rune(n), err
}

// unicode reads what follows \u. Two halves of a pair are one character.
func (p *escapes) unicode() (rune, error) {
	if p.take("{") {
		digits, _, ok := strings.Cut(string(p.in[p.at:]), "}")
		n, err := strconv.ParseUint(digits, 16, 32)
		if !ok || err != nil || n > unicode.MaxRune {
			return 0, p.unexpected()
		}
		p.at += len(digits) + 1
		return rune(n), nil
	}
	first, err := p.hex(4)
	if err != nil || first < 0xd800 || first > 0xdbff {
		return first, err
	}
	before := p.at
	if p.take(`\u`) {
		if second, err := p.hex(4); err == nil && second >= 0xdc00 && second <= 0xdfff {
			return (first-0xd800)<<10 + second - 0xdc00 + 0x10000, nil
		}
	}
	p.at = before
	return first, nil
}

// property reads the name of a property of characters, in braces.
func (p *escapes) property() error {
	if !p.take("{") {
		return p.unexpected()
	}
	text, _, ok := strings.Cut(string(p.in[p.at:]), "}")
	if !ok {
		return p.unexpected()
	}
	p.at += len([]rune(text)) + 1
	name, value, two := strings.Cut(text, "=")
	known := false
	switch {
	case !two:
		known = isCategory(name) || slices.Contains(strings.Fields(binaryProperties), name)
	case name == "General_Category" || name == "gc":
		known = isCategory(value)
	case name == "Script" || name == "sc" || name == "Script_Extensions" || name == "scx":
		known = unicode.Scripts[value] != nil
	}
	if !known {
		return fmt.Errorf("{%s} is no property of characters", text)
	}
	return nil
}

func isCategory(name string) bool {
	return unicode.Categories[name] != nil || unicode.CategoryAliases[name] != "" ||
		slices.Contains([]string{"LC", "Cased_Letter", "Cn", "Unassigned", "C", "Other"}, name)
}

// binaryProperties are those of table 69 of ECMA-262 (2024) that patterns in schemas may have.
const binaryProperties = `ASCII AHex ASCII_Hex_Digit Alpha Alphabetic Any Assigned Cased CI Case_Ignorable
	Dash Emoji Emoji_Component Emoji_Modifier Emoji_Modifier_Base Emoji_Presentation Ext Extender
	Extended_Pictographic ExtPict Hex Hex_Digit IDC ID_Continue IDS ID_Start Ideo Ideographic Lower Lowercase
	Math Upper Uppercase White_Space space XIDC XID_Continue XIDS XID_Start`
