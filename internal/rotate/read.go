package rotate

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
)

// A Line is one of a process, without its end.
type Line struct {
	Process string
	Text    []byte
}

// A Reader reads the lines of a folder, and those that come later. Its zero value with Dir is
// ready. Not for concurrent use.
type Reader struct {
	Dir string
	at  map[string]int64 // where each file was read to
}

// maxLine bounds a line; a longer one is left out.
const maxLine = 1 << 20

// Next returns what was written since the last time, the first time all: of each file the last most
// lines that keep wants; 0 is all of them. They are in order for each file, and not among files. A
// line that is not complete yet is for the next time.
func (r *Reader) Next(most int, keep func(Line) bool) ([]Line, error) {
	files, err := Files(r.Dir)
	if err != nil {
		return nil, err
	}
	if r.at == nil {
		r.at = map[string]int64{}
	}
	var all []Line
	for _, f := range files {
		if f.Size <= r.at[f.Path] {
			continue
		}
		lines, n, err := read(f, r.at[f.Path], most, keep)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // it was swept meanwhile
			return all, err
		}
		r.at[f.Path] += n
		all = append(all, lines...)
	}
	return all, nil
}

// read returns the last most lines of a file from an offset on, and how many bytes are read.
func read(f File, from int64, most int, keep func(Line) bool) (lines []Line, n int64, err error) {
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = file.Close() }() // it was read
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return nil, 0, err
	}
	in := bufio.NewReaderSize(file, 64<<10)
	for {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			if most > 0 && len(lines) > most {
				lines = lines[len(lines)-most:]
			}
			return lines, n, nil
		}
		if err != nil {
			return lines, n, err
		}
		n += int64(len(text))
		line := Line{Process: f.Process, Text: bytes.TrimRight(text, "\n")}
		if len(text) > maxLine || !keep(line) {
			continue
		}
		if lines = append(lines, line); most > 0 && len(lines) >= 2*most {
			lines = append(lines[:0], lines[len(lines)-most:]...)
		}
	}
}
