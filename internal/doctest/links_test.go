package doctest

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\[[^\]]*\]\(([\w/.-]*)(?:#([\w-]+))?\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	noSlug  = regexp.MustCompile(`[^\w -]`)
)

// Every link between the documents leads somewhere.
func TestLinks(t *testing.T) {
	for _, name := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, name), -1) {
			target := name
			if m[1] != "" {
				target = path.Join(path.Dir(name), m[1])
			}
			text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(target)))
			if err != nil {
				t.Errorf("%s: %s leads nowhere: %v", name, m[0], err)
				continue
			}
			slugs := []string{""}
			for _, h := range heading.FindAllStringSubmatch(string(text), -1) {
				slugs = append(slugs, strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
			}
			if !slices.Contains(slugs, m[2]) {
				t.Errorf("%s: %s: there is no such heading", name, m[0])
			}
		}
	}
}
