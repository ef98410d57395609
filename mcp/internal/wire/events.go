package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// eventReader reads server-sent events.
type eventReader struct {
	r     *bufio.Reader
	limit int // bytes of one line, and of one event's data
	long  []byte
	data  []byte
}

func newEventReader(r io.Reader, limit int) *eventReader {
	return &eventReader{r: bufio.NewReaderSize(r, 16<<10), limit: limit}
}

// next returns the next event that has data; data is valid until the next call. Comments, ids, retry times and unknown
// fields are passed over, and so is an event that the end of the stream cuts off.
func (e *eventReader) next() (name string, data []byte, err error) {
	e.data = e.data[:0]
	if cap(e.data) > 1<<20 {
		e.data = nil
	}
	has := false
	for {
		line, err := readLine(e.r, &e.long, e.limit+len("data: "))
		if err != nil {
			if large := (*TooLargeError)(nil); errors.As(err, &large) {
				large.Limit = e.limit
			}
			return "", nil, err
		}
		if len(line) == 0 || line[len(line)-1] != '\n' {
			return "", nil, fmt.Errorf("the event stream ended within an event: %w", io.ErrUnexpectedEOF)
		}
		line = bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'})
		if len(line) == 0 {
			if has {
				return name, e.data, nil
			}
			name = ""
			continue
		}
		field, value, _ := bytes.Cut(line, []byte{':'})
		value = bytes.TrimPrefix(value, []byte{' '})
		switch string(bytes.TrimPrefix(field, []byte("\xef\xbb\xbf"))) {
		case "event":
			if string(value) != name {
				name = string(value)
			}
		case "data":
			if has {
				e.data = append(e.data, '\n')
			}
			if len(e.data)+len(value) > e.limit {
				return "", nil, &TooLargeError{Limit: e.limit, Inbound: true}
			}
			e.data, has = append(e.data, value...), true
		}
	}
}
