package logs

import (
	"slices"
	"strings"
)

const (
	// fewFrames is how many frames more are shown in place of a line that says how many they are.
	fewFrames = 3
	// maxFrames bounds the frames that are shown: those of a recursion are all alike.
	maxFrames = 12
	// maxPanicLines bounds the text of a panic.
	maxPanicLines = 20
)

// OwnFrames is the stack of a Go panic with what helps who wrote the program: the text of the
// panic, if it is there, and of the goroutine that panicked the frames of the program's own code,
// without those of the standard library, of openmas and of other modules. left is how many frames
// are not shown; what is no such stack comes back as it is.
func OwnFrames(stack string) (short string, left int) {
	lines := strings.Split(strings.TrimRight(stack, "\n"), "\n")
	begin := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "goroutine ") })
	if begin < 0 {
		return stack, 0
	}
	var own, first []string
	over, frames := false, 0
	for n := begin + 1; n+1 < len(lines); n++ {
		if lines[n] == "" {
			over = true // what follows are other goroutines
			continue
		}
		if !strings.HasPrefix(lines[n+1], "\t") {
			continue
		}
		frames++
		frame := lines[n : n+2]
		n++
		switch {
		case over:
		case isOwn(frame[0], frame[1]) && len(own) < 2*maxFrames:
			own = append(own, withoutArguments(frame[0]), frame[1])
		case len(first) < 2*fewFrames:
			first = append(first, withoutArguments(frame[0]), frame[1])
		}
	}
	if len(own) == 0 {
		own = first
	}
	if left = frames - len(own)/2; left <= fewFrames {
		return stack, 0
	}
	text := slices.DeleteFunc(slices.Clone(lines[:begin]), func(l string) bool { return strings.TrimSpace(l) == "" })
	return strings.Join(append(text[:min(len(text), maxPanicLines)], own...), "\n"), left
}

// withoutArguments is the line of a function without the words in memory that it was called with.
func withoutArguments(function string) string {
	if n := strings.LastIndex(function, "("); n > 0 && strings.HasSuffix(function, ")") {
		return function[:n] + "(...)"
	}
	return function
}

// isOwn reports whether a frame is of the program's own code: function is the line of a stack that
// names it, place the line below.
func isOwn(function, place string) bool {
	function = strings.TrimPrefix(function, "created by ")
	pkg := function[:strings.LastIndex(function, "/")+1]
	name, _, called := strings.Cut(function[len(pkg):], ".")
	pkg += name
	top, _, _ := strings.Cut(pkg, "/")
	switch {
	case !called: // panic(…)
		return false
	case pkg == "main":
		return true
	case slices.Contains(standard, top), pkg == "github.com/openmas/openmas",
		strings.HasPrefix(pkg, "github.com/openmas/openmas/"):
		return false
	}
	place = strings.ReplaceAll(place, "\\", "/")
	return !slices.ContainsFunc([]string{"/pkg/mod/", "@v", "/vendor/"},
		func(other string) bool { return strings.Contains(place, other) })
}

// standard are the first elements of the paths of packages in the standard library.
var standard = strings.Fields("archive bufio bytes cmp compress container context crypto database debug embed " +
	"encoding errors expvar flag fmt go hash html image index internal io iter log maps math mime net os path plugin " +
	"reflect regexp runtime slices sort strconv strings structs sync syscall testing text time unicode unique unsafe " +
	"vendor weak")
