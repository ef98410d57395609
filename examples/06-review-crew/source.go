package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// maxFile is the size over which a source file is data rather than something that people read.
const maxFile = 2 << 20

func parse(root, path string) (*token.FileSet, *ast.File, error) {
	src, err := readSource(filepath.Join(root, filepath.FromSlash(path)))
	if err != nil {
		return nil, nil, err
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
	return fset, file, err
}

// generated follows the rule of the Go command: a line "// Code generated … DO NOT EDIT." before
// the package clause.
func generated(src []byte) bool {
	for line := range strings.Lines(string(src[:min(len(src), 4096)])) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "// Code generated ") && strings.HasSuffix(line, " DO NOT EDIT.") {
			return true
		}
		if strings.HasPrefix(line, "package ") {
			return false
		}
	}
	return false
}

func readSource(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("over %d bytes, left out", maxFile)
	}
	return os.ReadFile(path)
}

func below(root, path string) string {
	rel, err := filepath.Rel(root, path)
	if err != nil {
		return path
	}
	return filepath.ToSlash(rel)
}
