package statedir

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAFolderThatIsMadeStaysOutOfGit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", ".openmas")
	for range 2 {
		if err := Make(dir); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, ".gitignore")); err != nil || string(text) != "*\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestAFolderOfTheUserStaysAsItIs(t *testing.T) {
	dir := t.TempDir()
	if err := Make(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}
