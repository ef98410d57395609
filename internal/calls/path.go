package calls

import (
	"cmp"
	"strings"
)

// The place of a call in the tree of calls is written alike on every wire. These are the bounds of
// what is read from one.
const (
	// maxPath is how many agents a path may name: four times the limit of depth, so that a process
	// with a higher limit than ours is still understood.
	maxPath = 4 * MaxDepth
	maxName = 32 // as in package agent
)

// JoinPath writes the path of a call as one string, the names apart by commas, which no name has.
// The path of a call that an agent makes on its own account says no more than its caller does, and
// is empty.
func JoinPath(path []string, caller string) string {
	if len(path) == 1 && path[0] == caller {
		return ""
	}
	return strings.Join(path, ",")
}

// SplitPath is the way back. It is false for what is no list of agent names, or one that is too
// long.
func SplitPath(s, caller string) (path []string, ok bool) {
	if s = cmp.Or(s, caller); s == "" {
		return nil, true
	}
	if strings.Count(s, ",") >= maxPath {
		return nil, false
	}
	path = strings.Split(s, ",")
	for _, name := range path {
		if !isName(name) {
			return nil, false
		}
	}
	return path, true
}

func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// WriteRoot writes the root of a call: empty where it is the call itself.
func WriteRoot(root, id string) string {
	if root == id {
		return ""
	}
	return root
}

// ReadRoot is the way back.
func ReadRoot(root, id string) string { return cmp.Or(root, id) }
