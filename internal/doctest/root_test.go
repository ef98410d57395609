package doctest

import (
	"os"
	"path/filepath"
	"testing"
)

// root is the repository's folder; names of documents are relative to it.
const root = "../.."

// documents are README.md and the pages of docs.
func documents(t *testing.T) []string {
	t.Helper()
	names := []string{"README.md"}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		names = append(names, "docs/"+filepath.Base(page))
	}
	return names
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
