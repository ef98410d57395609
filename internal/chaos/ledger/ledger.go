// Package ledger is the book of what tools did while something was broken on purpose: each
// execution of a tool appends a line when it begins and one when it ends, whichever process and
// language it runs in.
package ledger

import (
	"bufio"
	"fmt"
	"os"
	"time"
)

// The words that a line begins with.
const (
	Began = "began"
	Ended = "ended"
	// Event is a durable event that was handled.
	Event = "event"
)

// A Book is the ledger of one process. Its methods may be called concurrently.
type Book struct{ f *os.File }

// Open opens the file, or makes it. It stays open for as long as the process lives, so that a
// process without descriptors can still write.
func Open(path string) (*Book, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &Book{f}, nil
}

// Append adds a line. It is one write with O_APPEND, so lines of several processes stay whole, and
// what a process wrote survives its SIGKILL.
func (b *Book) Append(word, id, tool string) error {
	_, err := fmt.Fprintf(b.f, "%s %s %s %d %d\n", word, id, tool, os.Getpid(), time.Now().UnixNano())
	return err
}

// An Entry is what the ledger knows of one call.
type Entry struct {
	Tool         string
	Began, Ended int // how often
	Events       int
	PIDs         []int // of the executions, in the order in which they began
}

// Read returns the entries by the calls' ids. A file that is not there has none.
func Read(path string) (map[string]*Entry, error) {
	all := map[string]*Entry{}
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var word, id, tool string
		var pid int
		var at int64
		if _, err := fmt.Sscan(lines.Text(), &word, &id, &tool, &pid, &at); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", path, lines.Text(), err)
		}
		e := all[id]
		if e == nil {
			e = &Entry{Tool: tool}
			all[id] = e
		}
		switch word {
		case Began:
			e.Began++
			e.PIDs = append(e.PIDs, pid)
		case Ended:
			e.Ended++
		case Event:
			e.Events++
		}
	}
	return all, lines.Err()
}
