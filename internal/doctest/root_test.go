package doctest

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// work is a folder for the time of the tests.
var work string

func TestMain(m *testing.M) {
	ports.Store(rand.Uint32())
	os.Exit(inFolder(m.Run))
}

func inFolder(tests func() int) int {
	var err error
	if work, err = os.MkdirTemp("", "doctest-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(work) }() // what is left lies among temporary files
	return tests()
}

// openmas builds the command once, where this repository is: so it is compiled as for everybody
// else. It returns the program's folder.
var openmas = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(work, "bin") + string(filepath.Separator)
	build := exec.CommandContext(context.Background(), "go", "build", "-buildvcs=false", "-ldflags=-w", "-o", dir,
		"./cmd/openmas")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build openmas: %w\n%s", err, out)
	}
	return dir, nil
})

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
