package project

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	bareSegment = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	itemSegment = regexp.MustCompile(`^\[(\d{1,9})\]$`)
)

// item is the path segment of a list's item.
func item(i int) string { return "[" + strconv.Itoa(i) + "]" }

// itemIndex reads what item wrote.
func itemIndex(seg string) (int, bool) {
	m := itemSegment.FindStringSubmatch(seg)
	if m == nil {
		return 0, false
	}
	i, err := strconv.Atoi(m[1])
	return i, err == nil
}

// joinPath writes a path as a user would: agents.search.tools."docs.search".timeout, command[0].
func joinPath(path []string) string {
	var b strings.Builder
	for i, seg := range path {
		_, item := itemIndex(seg)
		if i > 0 && !item {
			b.WriteByte('.')
		}
		if item || bareSegment.MatchString(seg) {
			b.WriteString(seg)
		} else {
			b.WriteString(strconv.Quote(seg))
		}
	}
	return b.String()
}

// below returns path and more in fresh memory, so that siblings never share a tail.
func below(path []string, more ...string) []string { return append(slices.Clip(path), more...) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
