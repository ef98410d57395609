//go:build race

package checklist

// raced: the race detector is on, and memory is many times what it is otherwise.
const raced = true
