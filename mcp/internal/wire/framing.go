package wire

import (
	"bytes"
	"errors"
	"time"

	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// MCP over stdio is a JSON object a line, and nothing else. Programs write other things too: a byte
// order mark, text before or after a message on its line, a message over several lines, one without
// an end of its line, or with headers as LSP has them. What is surely meant is read.

const (
	// lastLinePatience is how long nothing follows a message that has no end of its line.
	lastLinePatience = 100 * time.Millisecond
	// joinPatience is how long nothing follows a part of a message that is written over lines.
	joinPatience = 2 * time.Second
	// maxStarts is how many places in a line are tried where a message seems to begin.
	maxStarts = 16
)

// lspHeader begins each message of a server that frames them as LSP does.
const lspHeader = "content-length:"

var (
	byteOrderMark = []byte("\xef\xbb\xbf")

	errNoObject = errors.New("it is no JSON object")
	errUTF16    = errors.New("it is UTF-16, and MCP is UTF-8: set the program's encoding")
	errLSP      = errors.New("it is a header of LSP, which MCP does not have: on stdio each message is a line of JSON")
	errBeside   = errors.New("it stands beside a message on one line")
	errCut      = errors.New("it is a part of a message, and the rest did not come")
)

// A joining is an object that is written over several lines.
type joining struct {
	data  []byte // so far
	depth int    // of the brackets that are open
}

// begins starts with the first line; it is false if that does not leave an object open.
func (j *joining) begins(line []byte) bool {
	first := bytes.TrimLeft(line[1:], " \t")
	if line[0] != '{' || len(first) > 0 && first[0] != '"' {
		return false
	}
	depth, ok := nesting(line)
	if !ok || depth <= 0 {
		return false
	}
	j.data, j.depth = append(j.data[:0], line...), depth
	return true
}

// goesOn adds the next line; it is false if that cannot belong to the object.
func (j *joining) goesOn(line []byte, limit int) bool {
	depth, ok := nesting(line)
	if !ok || len(j.data)+len(line) >= limit || bytes.IndexByte([]byte(`"{}[],:-0123456789tfn`), line[0]) < 0 {
		return false
	}
	j.data = append(append(j.data, '\n'), line...)
	j.depth += depth
	return true
}

// open reports whether there is a part of an object.
func (j *joining) open() bool { return j.depth > 0 }

// take returns what there is.
func (j *joining) take() []byte {
	data := j.data
	if j.depth = 0; cap(data) > keptBuffer {
		j.data = nil
	}
	return data
}

// nesting is how many more brackets a line opens than it closes. ok is false where it ends within a
// string, which has no line breaks.
func nesting(line []byte) (depth int, ok bool) {
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			end := stringEnd(line, i)
			if end < 0 {
				return depth, false
			}
			i = end - 1
		}
	}
	return depth, true
}

// messagesIn calls each for the messages in a line that holds other text as well, which it returns.
// What begins the line or follows a message counts, whatever it is. After text only an answer does:
// programs log the requests that they get.
func messagesIn(line []byte, each func(msg []byte)) (text []byte, found bool) {
	var env Envelope
	bare := true // there was no other text so far
	for starts := 0; starts < maxStarts; {
		at := messageStart(line)
		if at < 0 {
			break
		}
		if len(bytes.TrimSpace(line[:at])) > 0 {
			text, bare = append(text, line[:at]...), false
		}
		line = line[at:]
		n := rawjson.Prefix(line)
		if n > 0 && env.Scan(line[:n]) && (bare || env.Method == nil) {
			each(line[:n])
			found = true
		} else {
			starts++
			n = max(n, 1)
			text, bare = append(text, line[:n]...), false
		}
		line = line[n:]
	}
	return append(text, line...), found
}

// messageStart is where a message may begin: a brace and one of the keys that messages have; -1:
// nowhere.
func messageStart(line []byte) int {
	for at := 0; ; at++ {
		i := bytes.IndexByte(line[at:], '{')
		if i < 0 {
			return -1
		}
		at += i
		rest := bytes.TrimLeft(line[at+1:], " \t\r\n")
		for _, key := range []string{`"jsonrpc"`, `"id"`, `"result"`, `"error"`, `"method"`, `"params"`} {
			if bytes.HasPrefix(rest, []byte(key)) {
				return at
			}
		}
	}
}

// endsMessage reports whether a line that has no end yet holds a whole message, and nothing after
// it.
func endsMessage(line []byte) bool {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[len(line)-1] != '}' {
		return false
	}
	for range maxStarts {
		at := messageStart(line)
		if at < 0 {
			return false
		}
		line = line[at:]
		switch n := rawjson.Prefix(line); {
		case n == len(line):
			return true
		case n > 0:
			line = line[n:]
		default:
			line = line[1:]
		}
	}
	return false
}

// isUTF16 reports whether a line begins a message in UTF-16.
func isUTF16(line []byte) bool {
	return bytes.HasPrefix(line, []byte("\xff\xfe")) || bytes.HasPrefix(line, []byte("\xfe\xff")) ||
		bytes.Contains(line, []byte("{\x00\"\x00")) || bytes.Contains(line, []byte("\x00{\x00\""))
}
