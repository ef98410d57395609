// Package stack shows where a panic happened.
package stack

import (
	"runtime/debug"
	"strings"
)

// OfPanic is the stack of the panic that the calling deferred function has recovered, from the
// place of the panic on: what recovered it is not in it.
func OfPanic() string { return fromPanic(string(debug.Stack())) }

// fromPanic leaves out the frames that came after the innermost panic. The runtime writes two
// lines a frame, the function and its file, and calls the panic itself "panic(…)".
func fromPanic(s string) string {
	head, frames, ok := strings.Cut(s, "\n")
	if !ok {
		return s
	}
	_, after, ok := strings.Cut("\n"+frames, "\npanic(")
	if !ok {
		return s
	}
	for range 2 { // the rest of its own frame
		if _, after, ok = strings.Cut(after, "\n"); !ok {
			return s
		}
	}
	return head + "\n" + after
}
