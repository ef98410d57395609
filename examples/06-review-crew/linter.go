package main

import (
	"cmp"
	"context"
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"

	"github.com/openmas/openmas/agent"
)

// Findings are what the linter remarks on, by file and line.
type Findings struct {
	Findings []Finding `json:"findings"`
}

// Finding is one remark.
type Finding struct {
	Path string `json:"path"`
	Line int    `json:"line"`
	Rule string `json:"rule"`
	Text string `json:"text"`
}

// Linter looks for undocumented exports, ignored errors and over-long functions.
type Linter struct {
	LongFunction int `json:"long_function"`
}

// Capabilities implements agent.Agent.
func (l *Linter) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Description: "Finds what a reviewer would remark on.",
		Tools: []agent.Tool{agent.NewTool("lint", "Find undocumented exports, ignored errors and over-long "+
			"functions in some files.", l.Lint, agent.ReadOnly())},
	}
}

// Lint looks at each file; one that cannot be parsed has no findings.
func (l *Linter) Lint(ctx context.Context, b Batch) (*Findings, error) {
	out := &Findings{Findings: []Finding{}}
	for _, path := range b.Paths {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		fset, file, err := parse(b.Root, path)
		if err != nil {
			continue
		}
		note := func(pos token.Pos, rule, format string, args ...any) {
			out.Findings = append(out.Findings, Finding{Path: path, Line: fset.Position(pos).Line, Rule: rule,
				Text: fmt.Sprintf(format, args...)})
		}
		if !strings.HasSuffix(path, "_test.go") && file.Name.Name != "main" {
			undocumented(file, note)
		}
		ignoredErrors(file, note)
		for _, fn := range functions(fset, file) {
			if fn.Lines > l.LongFunction {
				out.Findings = append(out.Findings,
					Finding{Path: path, Line: fn.Line, Rule: "long",
						Text: fmt.Sprintf("%s has %d lines", fn.Name, fn.Lines)})
			}
		}
	}
	slices.SortFunc(out.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Text, b.Text))
	})
	return out, nil
}

type noteFunc func(pos token.Pos, rule, format string, args ...any)

// undocumented finds exported declarations without a comment.
func undocumented(file *ast.File, note noteFunc) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if name := nameOf(d); d.Doc == nil && exported(name) {
				note(d.Pos(), "undocumented", "%s is exported and has no comment", name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if t, ok := spec.(*ast.TypeSpec); ok && t.Name.IsExported() && d.Doc == nil && t.Doc == nil {
					note(t.Pos(), "undocumented", "%s is exported and has no comment", t.Name.Name)
				}
			}
		}
	}
}

// ignoredErrors finds calls whose results all go to blanks: _ = f(), and _, _ = f().
func ignoredErrors(file *ast.File, note noteFunc) {
	ast.Inspect(file, func(n ast.Node) bool {
		assign, ok := n.(*ast.AssignStmt)
		if !ok || len(assign.Rhs) != 1 || assign.Tok != token.ASSIGN {
			return true
		}
		if _, call := assign.Rhs[0].(*ast.CallExpr); call && !slices.ContainsFunc(assign.Lhs, func(e ast.Expr) bool {
			id, ok := e.(*ast.Ident)
			return !ok || id.Name != "_"
		}) {
			note(assign.Pos(), "ignored", "the result of a call is thrown away")
		}
		return true
	})
}
