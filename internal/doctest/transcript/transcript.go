// Package transcript reads the console blocks of documents, and compares what a command printed
// with what such a block shows.
package transcript

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/openmas/openmas/mcp"
)

// A Step is one command of a block.
type Step struct {
	Line int // of the document
	Args []string
	Err  error // of splitting it
	Code int   // it is to exit with
	// Prints is what it prints; After what follows Ctrl-C, if Interrupt.
	Prints, After []string
	Interrupt     bool
}

var exitCode = regexp.MustCompile(`\s+# exit code (\d+)$`)

// Steps are the commands of a block, whose first line is the document's line first.
func Steps(lines []string, first int) []Step {
	var out []Step
	for i, line := range lines {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			s := Step{Line: first + i}
			if m := exitCode.FindStringSubmatch(command); m != nil {
				s.Code, s.Err = strconv.Atoi(m[1])
				command = strings.TrimSuffix(command, m[0])
			}
			if s.Err == nil {
				s.Args, s.Err = splitWords(command)
			}
			out = append(out, s)
			continue
		}
		if len(out) == 0 {
			return []Step{{Line: first + i, Err: errors.New(`a console block begins with a command: "$ ..."`)}}
		}
		switch last := &out[len(out)-1]; {
		case line == "^C":
			last.Interrupt = true
		case last.Interrupt:
			last.After = append(last.After, line)
		default:
			last.Prints = append(last.Prints, line)
		}
	}
	return out
}

// splitWords splits a command into words; quotes keep blanks together.
func splitWords(line string) (words []string, err error) {
	word, in, quote := "", false, rune(0)
	for _, r := range line {
		switch {
		case r == quote:
			quote = 0
		case quote != 0:
			word += string(r)
		case r == '\'' || r == '"':
			quote, in = r, true
		case r == ' ':
			if in {
				words = append(words, word)
			}
			word, in = "", false
		case strings.ContainsRune("|&;<>$`*\\", r):
			return nil, fmt.Errorf("%q: a command of the documentation does without a shell", line)
		default:
			word, in = word+string(r), true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("%q ends inside a quote", line)
	}
	if in {
		words = append(words, word)
	}
	if len(words) == 0 {
		return nil, errors.New("the command is empty")
	}
	return words, nil
}

// ofWaits is what openmas and make print about a build, a start or a reload that takes a while.
var ofWaits = regexp.MustCompile("^(make: building |building: \\d|compiled \\d|" +
	regexp.QuoteMeta(mcp.Building) + "|" + regexp.QuoteMeta(mcp.Built) +
	`|\S+ WARN the start waits for=|openmas: waiting for )`)

// Matches compares what was printed with what a document shows. Lines about what takes a while do
// not count.
func Matches(want []string, got string) bool {
	pattern := ""
	for _, line := range want {
		line = strings.Join(strings.Fields(line), " ")
		switch {
		case line == "", ofWaits.MatchString(line):
		case line == "...":
			pattern += `(?:.*\n)*`
		default:
			pattern += strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, `.*`) + `\n`
		}
	}
	text := ""
	for line := range strings.Lines(got) {
		if line = strings.Join(strings.Fields(line), " "); line != "" && !ofWaits.MatchString(line) {
			text += line + "\n"
		}
	}
	return regexp.MustCompile(`^` + pattern + `$`).MatchString(text)
}
