// Package check is what openmas validate finds wrong with a project, and how it shows that.
package check

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/openmas/openmas/runtime/project"
)

// The severities of problems. A project with errors does not run.
const (
	Error   = "error"
	Warning = "warning"
	Note    = "note"
)

// A Problem is one thing that is wrong, or worth to know.
type Problem struct {
	Severity string `json:"severity"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	// Where it was written if that is no file: --set, or an environment variable.
	Where   string `json:"where,omitempty"`
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
	Help    string `json:"help,omitempty"`
	// Stderr is what the program that this is about has written last, and Stdout the last line on
	// its standard output that is no MCP message.
	Stderr []string `json:"stderr,omitempty"`
	Stdout string   `json:"stdout,omitempty"`
}

// OneLine is a problem that no line of a file shows.
func (p Problem) OneLine() string {
	text := p.Message
	if at := cmp.Or(p.File, p.Where); at != "" {
		text = at + ": " + text
	}
	if p.Help != "" {
		text += "; " + p.Help
	}
	return text
}

// Of is the problem that an error of the project file describes.
func Of(severity string, e *project.Error) Problem {
	p := Problem{Severity: severity, File: e.Pos.File, Line: e.Pos.Line, Column: e.Pos.Column,
		Key: strings.Join(e.Key, "."), Message: e.Message, Help: e.Hint}
	if p.File == "" && e.Pos != (project.Position{}) {
		p.Where = e.Pos.String()
	}
	return p
}

// Errors are the problems in an error, one for each that it joins.
func Errors(err error) (all []Problem) {
	if err == nil {
		return nil
	}
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		for _, one := range many.Unwrap() {
			all = append(all, Errors(one)...)
		}
		return all
	}
	var one *project.Error
	if errors.As(err, &one) {
		return []Problem{Of(Error, one)}
	}
	return []Problem{{Severity: Error, Message: err.Error()}}
}

// Join adds what was found later to what was found earlier, in the order of the file, but for what
// is only its echo: a problem of the same key, or of one in it.
func Join(earlier, later []Problem) []Problem {
	echo := func(p Problem) bool {
		return p.Key != "" && slices.ContainsFunc(earlier, func(e Problem) bool {
			return e.Key != "" && (p.Key == e.Key || strings.HasPrefix(p.Key, e.Key+"."))
		})
	}
	all := append(slices.Clip(earlier), slices.DeleteFunc(later, echo)...)
	slices.SortStableFunc(all, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return all
}

// Count counts the problems of a severity.
func Count(all []Problem, severity string) (n int) {
	for _, p := range all {
		if p.Severity == severity {
			n++
		}
	}
	return n
}
