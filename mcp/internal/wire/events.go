package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// maxEventID is the longest id that is kept, in bytes: it becomes a header.
const maxEventID = 4 << 10

// EventReader reads server-sent events.
type EventReader struct {
	// LastID is the id of the newest complete event that has one: a broken stream resumes after it.
	// Retry is how long the server wants a client to wait before that.
	LastID string
	Retry  time.Duration

	r     *bufio.Reader
	id    string // of the event that is being read
	limit int    // bytes of one line, and of one event's data
	long  []byte
	data  []byte
}

// NewEventReader reads events of at most limit bytes.
func NewEventReader(r io.Reader, limit int) *EventReader {
	return &EventReader{r: bufio.NewReaderSize(r, 16<<10), limit: limit}
}

// Next returns the next event that has data; data is valid until the next call. Comments, unknown
// fields and an event that the end of the stream cuts off are ignored.
func (e *EventReader) Next() (name string, data []byte, err error) {
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
			e.LastID = e.id
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
		case "id":
			if bytes.IndexByte(value, 0) < 0 && len(value) <= maxEventID {
				e.id = string(value)
			}
		case "retry":
			if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				e.Retry = time.Duration(ms) * time.Millisecond
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
