package wire

import (
	"bytes"
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

	r     *lineReader
	id    string // of the event that is being read
	limit int    // bytes of one event's data
	data  []byte
}

// NewEventReader reads events of at most limit bytes.
func NewEventReader(r io.Reader, limit int) *EventReader {
	lines := newLineReader(r, limit+len("data: "), eventBuffer)
	lines.cr = true
	return &EventReader{r: lines, limit: limit}
}

// IsMessage reports whether an event holds a message. Other clients ignore events of other names
// than message; one that is a whole JSON-RPC message is surely meant as that.
func IsMessage(name string, data []byte) bool {
	var env Envelope
	return name == "" || name == "message" || env.Scan(data)
}

// Next returns the next event that has data; data is valid until the next call. Comments, unknown
// fields and an event that the end of the stream cuts off are ignored. An event over the limit is
// passed over and is a [TooLargeError]: the next call returns what follows it.
func (e *EventReader) Next() (name string, data []byte, err error) {
	e.data = e.data[:0]
	if cap(e.data) > 1<<20 {
		e.data = nil
	}
	has := false
	var large *TooLargeError
	for {
		line, err := e.r.next()
		if long := tooLarge(err); long != nil {
			large = long
			large.Limit = e.limit
			continue
		}
		if err != nil {
			return "", nil, err
		}
		if len(line) == 0 || line[len(line)-1] != '\n' && line[len(line)-1] != '\r' {
			return "", nil, fmt.Errorf("the event stream ended within an event: %w", io.ErrUnexpectedEOF)
		}
		line = line[:len(line)-1]
		if len(line) == 0 {
			e.LastID = e.id
			if large != nil {
				return name, nil, large
			}
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
			if large == nil && len(e.data)+len(value) > e.limit {
				large = &TooLargeError{Limit: e.limit, Inbound: true}
				large.add(e.data)
			}
			if large != nil {
				large.add(value)
				continue
			}
			e.data, has = append(e.data, value...), true
		}
	}
}
