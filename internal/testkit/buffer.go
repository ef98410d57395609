package testkit

import (
	"bytes"
	"strings"
	"sync"
	"testing"
)

// A Buffer is an output, of a program or a log, that can be read while it is written. The zero
// Buffer is empty.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements [io.Writer].
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String is what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Reset forgets what was written.
func (b *Buffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}

// Await waits for a line with the text and returns what follows it there.
func (b *Buffer) Await(t testing.TB, text string) (rest string) {
	t.Helper()
	Eventually(t, "the output has "+text, func() bool {
		_, after, found := strings.Cut(b.String(), text)
		var ended bool
		rest, _, ended = strings.Cut(after, "\n")
		return found && ended
	}, b)
	return rest
}
