package testkit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
)

// ErrNoTerminal says that tests have no terminals for programs here.
var ErrNoTerminal = errors.New("no terminal can be made here")

// OpenTerminal opens a terminal: its own end, where keys are written and what is shown is read, and
// the end that programs have. An error is [ErrNoTerminal].
func OpenTerminal() (keys, program *os.File, err error) {
	keys, program, err = openTerminal()
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrNoTerminal, err)
	}
	return keys, program, err
}

// Terminal opens a terminal for the time of a test: what is written to keys is typed, and what
// programs write to theirs goes to shown. The test is skipped where there are no terminals.
func Terminal(t testing.TB, shown io.Writer) (keys, program *os.File) {
	t.Helper()
	keys, program, err := OpenTerminal()
	if err != nil {
		t.Skip(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		CopyShown(shown, keys)
	}()
	t.Cleanup(func() {
		_ = program.Close() // by now, unless the test closed it
		<-read
		_ = keys.Close()
	})
	return keys, program
}

// CopyShown writes what is shown on a terminal to w, until no program has the terminal any more.
//
// Linux looks first whether there is something to read, and then whether the programs are gone. So
// what the last one wrote between the two looks, before it ended, is there after the first error.
func CopyShown(w io.Writer, keys *os.File) {
	for b, errs := make([]byte, 4096), 0; errs < 2; {
		n, err := keys.Read(b)
		if n > 0 {
			_, _ = w.Write(b[:n]) // it takes everything
		}
		if errs++; err == nil {
			errs = 0
		}
	}
}
