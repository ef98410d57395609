// Package check is what openmas validate finds wrong with a project, and how it shows that.
package check

import (
	"errors"
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

// Count counts the problems of a severity.
func Count(all []Problem, severity string) (n int) {
	for _, p := range all {
		if p.Severity == severity {
			n++
		}
	}
	return n
}
