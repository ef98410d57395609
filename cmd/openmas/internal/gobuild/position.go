package gobuild

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// position is where the go command says that something is: at the beginning of a line, or in a
// further line about the same.
var position = regexp.MustCompile(`(?m)^(\s*)([^\s:][^:\n]*\.(?:go|mod|sum|work|s|c|h|cc|cpp|hpp)):(\d+)`)

// fromHere is a text of a go command that ran in dir, with the names of files as they are from the
// working directory.
func fromHere(text, dir string) string {
	here, err := os.Getwd()
	if err != nil {
		return text
	}
	return position.ReplaceAllStringFunc(text, func(at string) string {
		m := position.FindStringSubmatch(at)
		path := m[2]
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		rel, err := filepath.Rel(here, path)
		if err != nil {
			return at
		}
		if up := ".." + string(filepath.Separator); !strings.HasPrefix(rel, up) {
			rel = "." + string(filepath.Separator) + rel
		} else if strings.Count(rel, up) > 2 {
			rel = path
		}
		return m[1] + rel + ":" + m[3]
	})
}
