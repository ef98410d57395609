package doctest

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A command in the running text, such as `openmas list --json`.
var (
	inline  = regexp.MustCompile("`openmas( [^`]+)`")
	aFlag   = regexp.MustCompile(`^--[a-z-]+`)
	aFlagOf = regexp.MustCompile(`--[a-z-]+`)
)

// The flags that the pages name in their text are flags of that command.
func TestFlagsInText(t *testing.T) {
	helps := commandHelps(t)
	for _, name := range documents(t) {
		for _, m := range inline.FindAllStringSubmatch(strings.ReplaceAll(read(t, name), "\n", " "), -1) {
			words := strings.Fields(m[1])
			command := ""
			for _, w := range words {
				if _, known := helps[strings.TrimSpace(command+" "+w)]; !known {
					break
				}
				command = strings.TrimSpace(command + " " + w)
			}
			for _, w := range words {
				f := aFlag.FindString(w)
				if f != "" && !slices.Contains(aFlagOf.FindAllString(helps[command], -1), f) {
					t.Errorf("%s: %q: there is no flag %s", name, "openmas"+m[1], f)
				}
			}
		}
	}
}
