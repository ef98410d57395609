package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The pages with programs of other languages are found, and no others.
func TestPages(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.md":     "```go main.go\n```\n",
		"python.md": "# A\n\n```python a/b.py\n```\n",
		"script.md": "```console\n```\n\n```typescript a/b.ts new\n```\n",
		"words.md":  "A block of ```python has a path.\n",
	} {
		if err := os.MkdirAll(filepath.Join(root, "docs", "howto"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "docs", "howto", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := pages(root)
	if want := []string{"docs/howto/python.md", "docs/howto/script.md"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	want := `^TestDocs$/^docs$/^howto$/^python\.md$|^TestDocs$/^docs$/^howto$/^script\.md$`
	if got := pattern(got); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, err := pages(t.TempDir()); err == nil {
		t.Errorf("%q in an empty folder", got)
	}
}
