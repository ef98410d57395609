package check

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// width is how much of a line is shown.
const width = 92

// A Printer shows problems with the lines where they are.
type Printer struct {
	// Color: a terminal shows the severities in colours.
	Color bool
	// Redact masks the secrets of the project in a line of it.
	Redact func(string) string

	files map[string][]string
}

// Text is a problem for people: what is wrong, where, the line with a mark, and what to do.
func (r *Printer) Text(p Problem) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.paint(p.Severity, p.Severity), p.Message)
	number := fmt.Sprint(p.Line)
	margin := strings.Repeat(" ", len(number))
	switch line, known := r.line(p.File, p.Line); {
	case p.File != "" && p.Line > 0:
		fmt.Fprintf(&b, "%s--> %s:%d:%d\n", margin, p.File, p.Line, p.Column)
		if known {
			shown, before, marked := part(r.hide(line, p.Column))
			fmt.Fprintf(&b, "%s |\n%s\n%s | %s%s\n", margin, strings.TrimRight(number+" | "+shown, " "), margin,
				strings.Repeat(" ", before), r.paint(p.Severity, strings.Repeat("^", marked)))
		}
	case p.File != "":
		fmt.Fprintf(&b, "%s--> %s\n", margin, p.File)
	case p.Where != "":
		fmt.Fprintf(&b, "%s--> %s\n", margin, p.Where)
	}
	if len(p.Stderr) > 0 {
		fmt.Fprintf(&b, "%s = its last lines:\n", margin)
		for _, line := range p.Stderr {
			fmt.Fprintf(&b, "%s   %s\n", margin, line)
		}
	}
	if p.Stdout != "" {
		fmt.Fprintf(&b, "%s = the last line of its output that is no MCP message:\n%s   %s\n", margin, margin, p.Stdout)
	}
	if p.Help != "" {
		fmt.Fprintf(&b, "%s = help: %s\n", margin, p.Help)
	}
	return b.String()
}

var colors = map[string]string{Error: "1;31", Warning: "1;33", Note: "1;36"}

func (r *Printer) paint(severity, s string) string {
	if !r.Color {
		return s
	}
	return "\x1b[" + colors[severity] + "m" + s + "\x1b[0m"
}

// line reads a line of a file.
func (r *Printer) line(file string, n int) (string, bool) {
	if file == "" || n < 1 {
		return "", false
	}
	lines, known := r.files[file]
	if !known {
		if text, err := os.ReadFile(file); err == nil && utf8.Valid(text) {
			lines = strings.Split(string(text), "\n")
		}
		if r.files == nil {
			r.files = map[string][]string{}
		}
		r.files[file] = lines
	}
	if n > len(lines) {
		return "", false
	}
	return strings.TrimRight(lines[n-1], "\r"), true
}

// part is what is shown of a line, and where the mark begins below it and how long it is. column
// counts characters from 1.
func part(line string, column int) (shown string, before, marked int) {
	chars := []rune(line)
	at := min(max(column-1, 0), len(chars))
	marked = max(word(chars[at:]), 1)
	from := 0
	if at+marked > width {
		from = min(at, max(at-width/3, 0))
	}
	chars = chars[from:]
	at -= from
	if from > 0 {
		chars[0] = '…'
	}
	if len(chars) > width {
		chars = append(chars[:width-1:width-1], '…')
	}
	for i, c := range chars {
		switch {
		case c == '\t' && i == at: // it is what is wrong
			chars[i] = '→'
		case unicode.IsControl(c):
			chars[i] = ' '
		}
	}
	return strings.TrimRight(string(chars), " "), at, min(marked, max(width-at, 1))
}

// word is how long the key or value is that a text begins with.
func word(text []rune) int {
	if len(text) == 0 {
		return 0
	}
	if q := text[0]; q == '"' || q == '\'' {
		for i := 1; i < len(text); i++ {
			if text[i] == q {
				return i + 1
			}
		}
	}
	switch text[0] {
	case '\t':
		return 1
	case '{', '[':
		return max(closed(text), 1)
	}
	end := len(text)
	for i, c := range text {
		next := ' '
		if i+1 < len(text) {
			next = text[i+1]
		}
		if i > 0 && (strings.ContainsRune(",}]\t", c) || c == ':' && next == ' ' || c == ' ' && next == '#') {
			end = i
			break
		}
	}
	return utf8.RuneCountInString(strings.TrimRight(string(text[:end]), " "))
}

// closed is how long a text is up to where the bracket is closed that it begins with; 0: it is not.
func closed(text []rune) int {
	depth := 0
	for i, c := range text {
		switch c {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// secret is a value that is written beside a key with the name of a secret.
var secret = regexp.MustCompile(`(?i)((?:token|password|passwd|secret|authorization|key)s?["']?\s*:\s*)` +
	`("[^"$]*"|'[^'$]*'|[^\s,"'${}\[\]][^,}\]#]*)`)

// hide masks what could be a secret in a line, and returns where the column is then.
func (r *Printer) hide(line string, column int) (string, int) {
	chars := []rune(line)
	at := min(max(column-1, 0), len(chars))
	redact := func(s string) string {
		if r.Redact != nil {
			s = r.Redact(s)
		}
		return secret.ReplaceAllString(s, "$1***")
	}
	return redact(line), utf8.RuneCountInString(redact(string(chars[:at]))) + 1
}
