package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
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

// readLine returns the next line, valid until the next call; a last line without an end counts.
// long is its buffer for lines that r cannot hold.
func readLine(r *bufio.Reader, long *[]byte, limit int) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == nil && len(line) <= limit+1 {
		return line, nil
	}
	if cap(*long) > 1<<20 {
		*long = nil
	}
	b := append((*long)[:0], line...)
	for errors.Is(err, bufio.ErrBufferFull) && len(b) <= limit+1 {
		line, err = r.ReadSlice('\n')
		b = append(b, line...)
	}
	*long = b
	switch {
	case len(bytes.TrimRight(b, "\r\n")) > limit:
		return nil, &TooLargeError{Limit: limit, Inbound: true}
	case err == nil || errors.Is(err, io.EOF) && len(b) > 0:
		return b, nil
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	}
	return nil, fmt.Errorf("read from the peer: %w", err)
}
