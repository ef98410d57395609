package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
)

// Lines yields the lines of r that hold something, trimmed, each valid until the next, and last the
// error that ended them, nil at the end of r. A line of more than limit bytes is a [TooLargeError].
func Lines(r io.Reader, limit int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		in := bufio.NewReaderSize(r, 32<<10)
		var long []byte
		for {
			line, err := readLine(in, &long, limit)
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(nil, err)
				}
				return
			}
			if line = bytes.TrimSpace(line); len(line) > 0 && !yield(line, nil) {
				return
			}
		}
	}
}
