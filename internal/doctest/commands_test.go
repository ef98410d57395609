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

var update = flag.Bool("update", false, "write the help of the commands into docs/reference/cli.md anew")

// A help block of docs/reference/cli.md: the words of its command are the second group, the help is
// the third. A block may be empty still.
var help = regexp.MustCompile("(?s)(```console\\n\\$ openmas ((?:[a-z-]+ )*)--help\\n)(.*?)(\\n```)")

// docs/reference/cli.md shows the help of every command and of no other. This writes it:
// go test ./internal/doctest -run Commands -update
func TestCommandsAreDocumented(t *testing.T) {
	path := filepath.Join(root, "docs", "reference", "cli.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	helps := commandHelps(t)
	if *update {
		text = writeHelps(text, helps)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	shown := map[string]bool{}
	for _, m := range help.FindAllSubmatch(text, -1) {
		command := strings.TrimSpace(string(m[2]))
		shown[command] = true
		switch now, known := helps[command]; {
		case !known:
			t.Errorf("docs/reference/cli.md shows the help of %q, which is no command", command)
		case string(m[3]) != now:
			t.Errorf("docs/reference/cli.md does not show the help of %q as it is; -update writes it", command)
		}
	}
	for command := range helps {
		if !shown[command] {
			t.Errorf("docs/reference/cli.md does not show the help of %q; -update adds it", command)
		}
	}
	if len(helps) < 10 {
		t.Errorf("there are %d commands: %v", len(helps), helps)
	}
}

// writeHelps puts the help of every command into the text, at the end where it is new.
func writeHelps(text []byte, helps map[string]string) []byte {
	shown := map[string]bool{}
	text = help.ReplaceAllFunc(text, func(block []byte) []byte {
		m := help.FindSubmatch(block)
		command := strings.TrimSpace(string(m[2]))
		shown[command] = true
		return slices.Concat(m[1], []byte(helps[command]+"\n```"))
	})
	for command, now := range helps {
		if !shown[command] {
			text = append(text, "\n## openmas "+command+"\n\n```console\n$ openmas "+command+" --help\n"+now+
				"\n```\n"...)
		}
	}
	return text
}

var listed = regexp.MustCompile(`(?s)\nAvailable Commands:\n(.*?)\n\n`)

// commandHelps is the help of every command, by its words after "openmas".
func commandHelps(t *testing.T) map[string]string {
	t.Helper()
	bin, err := openmas()
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(bin, "openmas")
	helps := map[string]string{}
	for queue := []string{""}; len(queue) > 0; queue = queue[1:] {
		command := queue[0]
		out, err := exec.CommandContext(t.Context(), exe, append(strings.Fields(command), "--help")...).Output()
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		helps[command] = string(bytes.TrimRight(out, "\n"))
		if m := listed.FindSubmatch(out); m != nil {
			for line := range strings.Lines(string(m[1])) {
				if name := strings.Fields(line)[0]; name != "help" {
					queue = append(queue, strings.TrimSpace(command+" "+name))
				}
			}
		}
	}
	return helps
}
