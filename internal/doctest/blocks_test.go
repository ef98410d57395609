package doctest

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// languages are those of blocks.
var languages = []string{"go", "yaml", "console", "json", "sh", "python", "typescript", "text"}

// A block is one fenced block of a document.
type block struct {
	line       int // of its first fence
	lang, name string
	later      bool // its file is written at its place in the document
	lines      []string
}

func (b block) text() string { return strings.Join(b.lines, "\n") + "\n" }

// folder is the first one of the block's path.
func (b block) folder() string {
	dir, _, _ := strings.Cut(b.name, "/")
	return dir
}

func parseBlocks(text string) ([]block, error) {
	var out []block
	open := -1
	for i, line := range strings.Split(text, "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case !fence && open < 0:
		case !fence:
			out[open].lines = append(out[open].lines, line)
		case open >= 0:
			open = -1
		default:
			lang, name, _ := strings.Cut(info, " ")
			name, later := strings.CutSuffix(strings.TrimSpace(name), " new")
			out = append(out, block{line: i + 1, lang: lang, name: name, later: later})
			open = len(out) - 1
		}
	}
	if open >= 0 {
		return nil, fmt.Errorf("the block of line %d is not closed", out[open].line)
	}
	return out, nil
}

// text is what is written for a block: with the ports that brokers have here, and in scripts and
// programs the gateway's.
func (c *docChecker) text(b block) string {
	ports := append(slices.Clone(c.brokers), "127.0.0.1:9000", "127.0.0.1:"+c.other)
	text := strings.NewReplacer(ports...).Replace(b.text())
	if b.lang == "go" || b.lang == "yaml" || b.lang == "text" {
		return text
	}
	return strings.ReplaceAll(text, "127.0.0.1:8765", "127.0.0.1:"+c.port)
}

// The SDKs that make interop lends; see doc.go.
var sdks = map[string]struct{ variable, link string }{
	"python":     {"OPENMAS_DOCTEST_VENV", ".venv"},
	"typescript": {"OPENMAS_DOCTEST_NODE_MODULES", "node_modules"},
}

// missingSDKs are the variables that would have to be set for the document's commands to run.
func (c *docChecker) missingSDKs(blocks []block) (variables []string) {
	for _, b := range blocks {
		if v := sdks[b.lang].variable; v != "" && os.Getenv(v) == "" && !slices.Contains(variables, v) {
			variables = append(variables, v)
		}
	}
	return variables
}

// foreign lends a program the packages that it imports.
func (c *docChecker) foreign(b block) error {
	if b.name == "" {
		return fmt.Errorf("a block of %s needs a file: ```%s FOLDER/FILE", b.lang, b.lang)
	}
	from := os.Getenv(sdks[b.lang].variable)
	if from == "" {
		return nil
	}
	link := filepath.Join(c.repo, filepath.FromSlash(path.Dir(b.name)), sdks[b.lang].link)
	if err := os.Symlink(from, link); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}
