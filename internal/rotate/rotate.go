// Package rotate keeps lines in files of one folder: each process writes to files of its own, and
// all of them together are bounded. What is oldest is removed.
package rotate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openmas/openmas/internal/statedir"
)

// suffix is that of the files: their lines are JSON. A file is named PROCESS.NUMBER.jsonl.
const suffix = ".jsonl"

// Bounds are those of all files in the folder, of living and dead processes.
type Bounds struct {
	// Size is how many bytes they have together. It is kept when a process begins a new file, and
	// each process begins one after an eighth of it.
	Size int64
	// Files is how many there are.
	Files int
	// Age is after how long without a write a file is removed.
	Age time.Duration
}

const (
	// share is the part of the size that one file has at most.
	share = 8
	// maxHeld bounds, in bytes, what is written before Open.
	maxHeld = 64 << 10
	// checkEvery is how often a writer looks whether its file was removed.
	checkEvery = time.Second
)

// A Writer writes the lines of one process. It is safe for concurrent use. Its owner closes it.
type Writer struct {
	state, dir, process string
	bounds              Bounds

	mu      sync.Mutex
	held    []byte
	opened  bool
	closed  bool
	file    *os.File
	size    int64
	number  int
	checked time.Time
}

// New returns a Writer for a process, whose name no other one has. The files are in the folder name
// of the state folder, which are made with the first line.
func New(state, name, process string, b Bounds) *Writer {
	return &Writer{state: state, dir: filepath.Join(state, name), process: process, bounds: b}
}

// Open has lines written from now on, and those that came before.
func (w *Writer) Open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened = true
	if len(w.held) > 0 {
		_, _ = w.write(w.held) // the next line reports what is wrong
		w.held = nil
	}
}

// Write writes lines, each with its end. Before Open it keeps the first ones, after Close none.
func (w *Writer) Write(lines []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return 0, os.ErrClosed
	case !w.opened:
		if len(w.held)+len(lines) <= maxHeld {
			w.held = append(w.held, lines...)
		}
		return len(lines), nil
	}
	return w.write(lines)
}

func (w *Writer) write(lines []byte) (int, error) {
	w.check()
	if w.file == nil || w.size > 0 && w.size+int64(len(lines)) > w.bounds.Size/share {
		if err := w.next(); err != nil {
			return 0, err
		}
	}
	n, err := w.file.Write(lines)
	w.size += int64(n)
	return n, err
}

// check lets go of a file that another process has removed: a process that has not written for long
// looks like a dead one.
func (w *Writer) check() {
	if w.file == nil || time.Since(w.checked) < checkEvery {
		return
	}
	w.checked = time.Now()
	here, err := w.file.Stat()
	there, otherErr := os.Stat(w.file.Name())
	if err == nil && otherErr == nil && os.SameFile(here, there) {
		return
	}
	_ = w.file.Close() // it is gone
	w.file = nil
}

// next begins a new file, after it has made room for it.
func (w *Writer) next() error {
	if w.file != nil {
		_ = w.file.Close() // the writes have reported what is wrong
		w.file = nil
	}
	var err error
	if w.number > 0 {
		err = statedir.Moved(w.state)
	}
	if err == nil {
		err = statedir.Make(w.state)
	}
	if err == nil {
		err = os.MkdirAll(w.dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	w.sweep()
	w.number++
	name := filepath.Join(w.dir, fmt.Sprintf("%s.%06d%s", w.process, w.number, suffix))
	w.file, err = os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	w.size, w.checked = 0, time.Now()
	return err
}

// sweep removes the oldest files until there is room for one more. A file that cannot be removed,
// since somebody reads it on Windows say, is removed the next time.
func (w *Writer) sweep() {
	files, err := Files(w.dir)
	if err != nil {
		return // the new file reports what is wrong with the folder
	}
	var size int64
	for n, f := range slices.Backward(files) {
		size += f.Size
		if size > w.bounds.Size-w.bounds.Size/share || len(files)-n >= w.bounds.Files ||
			time.Since(f.Changed) > w.bounds.Age {
			_ = os.Remove(f.Path)
		}
	}
}

// Close ends the writing.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return err
}

// A File is one in the folder.
type File struct {
	Path    string
	Process string
	Number  int
	Size    int64
	Changed time.Time
}

// Files are those in a folder, the one that was written to last at the end; none where there is no
// folder.
func Files(dir string) ([]File, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var files []File
	for _, e := range entries {
		process, number, ok := strings.Cut(strings.TrimSuffix(e.Name(), suffix), ".")
		n, err := strconv.Atoi(number)
		info, infoErr := e.Info()
		if !ok || err != nil || infoErr != nil || !strings.HasSuffix(e.Name(), suffix) || !info.Mode().IsRegular() {
			continue
		}
		files = append(files, File{Path: filepath.Join(dir, e.Name()), Process: process, Number: n, Size: info.Size(),
			Changed: info.ModTime()})
	}
	slices.SortStableFunc(files, func(a, b File) int { return a.Changed.Compare(b.Changed) })
	return files, nil
}
