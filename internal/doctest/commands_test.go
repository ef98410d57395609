package doctest

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the help of the commands into docs/cli.md anew")

var help = regexp.MustCompile("(?s)(```console\\n\\$ openmas ((?:[a-z-]+ )*)--help\\n).*?(\\n```)")

// docs/cli.md shows the help of every command; that it is shown as it is, TestDocs sees. go test
// -run Commands -update ./internal/doctest writes it.
func TestCommandsAreDocumented(t *testing.T) {
	path := filepath.Join(root, "docs", "cli.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		text = help.ReplaceAllFunc(text, func(shown []byte) []byte {
			m := help.FindSubmatch(shown)
			now, err := exec.CommandContext(t.Context(), "go",
				slices.Concat([]string{"run", "../../cmd/openmas"}, strings.Fields(string(m[2])),
					[]string{"--help"})...).Output()
			if err != nil {
				t.Fatal(err)
			}
			return slices.Concat(m[1], bytes.TrimRight(now, "\n"), m[3])
		})
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, list, _ := strings.Cut(string(text), "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	n := 0
	for line := range strings.Lines(list) {
		name := strings.Fields(line)[0]
		if n++; name != "help" && !strings.Contains(string(text), "\n$ openmas "+name+" --help\n") {
			t.Errorf("docs/cli.md does not show the help of %s", name)
		}
	}
	if n < 6 {
		t.Errorf("docs/cli.md lists %d commands", n)
	}
}
