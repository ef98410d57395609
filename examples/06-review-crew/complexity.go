package main

import (
	"context"
	"go/ast"
	"go/token"

	"github.com/openmas/openmas/agent"
)

// Batch names some files of a tree.
type Batch struct {
	Root  string   `json:"root" jsonschema:"absolute path of the tree"`
	Paths []string `json:"paths" jsonschema:"files below the root"`
}

// Measures are the functions of a batch of files.
type Measures struct {
	Files []FileMeasure `json:"files"`
}

// FileMeasure is what was measured in one file; Error says why there is nothing.
type FileMeasure struct {
	Path      string     `json:"path"`
	Functions []Function `json:"functions,omitempty"`
	Error     string     `json:"error,omitempty"`
}

// Function is one function: where, how long, and how many ways lead through it.
type Function struct {
	Name       string `json:"name"`
	Line       int    `json:"line"`
	Lines      int    `json:"lines"`
	Complexity int    `json:"complexity"`
}

// Complexity measures functions by their cyclomatic complexity: one, and one more for each branch.
type Complexity struct{}

// Capabilities implements agent.Agent.
func (c *Complexity) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Description: "Measures how complicated Go functions are.",
		Tools: []agent.Tool{agent.NewTool("measure", "Measure length and cyclomatic complexity of the "+
			"functions in some files.", c.Measure, agent.ReadOnly())},
	}
}

// Measure parses each file. A file that cannot be parsed is said so; the others count.
func (c *Complexity) Measure(ctx context.Context, b Batch) (*Measures, error) {
	out := &Measures{Files: []FileMeasure{}}
	for _, path := range b.Paths {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m := FileMeasure{Path: path}
		if fset, file, err := parse(b.Root, path); err != nil {
			m.Error = err.Error()
		} else {
			m.Functions = functions(fset, file)
		}
		out.Files = append(out.Files, m)
	}
	return out, nil
}

func functions(fset *token.FileSet, file *ast.File) []Function {
	var out []Function
	for _, d := range file.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		first, last := fset.Position(fn.Pos()).Line, fset.Position(fn.End()).Line
		out = append(out, Function{Name: nameOf(fn), Line: first, Lines: last - first + 1,
			Complexity: cyclomatic(fn.Body)})
	}
	return out
}

func cyclomatic(body ast.Node) int {
	n := 1
	ast.Inspect(body, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			n++
		case *ast.CaseClause:
			if node.List != nil { // default adds no way of its own
				n++
			}
		case *ast.CommClause:
			if node.Comm != nil {
				n++
			}
		case *ast.BinaryExpr:
			if node.Op == token.LAND || node.Op == token.LOR {
				n++
			}
		}
		return true
	})
	return n
}
