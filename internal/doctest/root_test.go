package doctest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the repository's folder; names of documents are relative to it.
const root = "../.."

// documents are the pages at the top, README.md among them, and those below docs.
func documents(t *testing.T) (names []string) {
	t.Helper()
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		pages, err := fs.Glob(os.DirFS(root), pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, pages...)
	}
	if len(names) < 10 {
		t.Fatalf("there are %d documents", len(names))
	}
	return names
}

// pages are the documents, and the READMEs of the examples, whose blocks make demos runs.
func pages(t *testing.T) []string {
	t.Helper()
	demos, err := fs.Glob(os.DirFS(root), "examples/*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(append(documents(t), "examples/README.md"), demos...)
}

// read reads a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// row is a line of a table: its cells.
var row = regexp.MustCompile(`(?m)^\| (.+) \|$`)

// rows are the lines of a document's tables whose first cell is code, cell by cell.
func rows(t *testing.T, document string) [][]string {
	t.Helper()
	var out [][]string
	for _, m := range row.FindAllStringSubmatch(read(t, "docs/reference/"+document), -1) {
		if cells := strings.Split(m[1], " | "); strings.HasPrefix(cells[0], "`") {
			cells[0] = strings.Trim(cells[0], "`")
			out = append(out, cells)
		}
	}
	return out
}
