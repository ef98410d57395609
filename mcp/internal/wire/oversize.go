package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// TooLargeError is a message over the limit of its connection. One that was received was not kept,
// and the connection goes on: see Answer.
type TooLargeError struct {
	Size    int // bytes; 0 if unknown, for a message that was not read to its end
	Limit   int // bytes
	Inbound bool

	outline outline // of one that was received and read to its end
	start   []byte  // of it, for the log
}

// tooLarge is the TooLargeError in err, or nil.
func tooLarge(err error) *TooLargeError {
	if err == nil { // without allocating
		return nil
	}
	large := (*TooLargeError)(nil)
	errors.As(err, &large)
	return large
}

// add takes the next part of a message that is received.
func (e *TooLargeError) add(part []byte) {
	if e.Size == 0 {
		e.start = bytes.Clone(part[:min(len(part), maxStart)])
	}
	e.Size += len(part)
	e.outline.add(part)
}

const maxStart = 200 // bytes of a message that are logged

func (e *TooLargeError) Error() string {
	if e.Inbound {
		return fmt.Sprintf("the peer sent a message of more than %d bytes, the limit", e.Limit)
	}
	return fmt.Sprintf("a message of %d bytes exceeds the limit of %d", e.Size, e.Limit)
}

// Answer stands for the answer that was too large: its [Envelope.ReadAnswer] is e. It is false if
// the message was no answer, or its id was not found.
func (e *TooLargeError) Answer() (*Envelope, bool) {
	id, ok := e.outline.answerID()
	return &Envelope{ID: id, damage: e}, ok
}

// AnswerTo is Answer where only request id can be answered, so that an id that was not found does
// not matter.
func (e *TooLargeError) AnswerTo(id int64) (*Envelope, bool) {
	if e.outline.request {
		return nil, false
	}
	if env, ok := e.Answer(); ok {
		got, mine := env.AnswerID()
		return env, mine && got == id
	}
	return &Envelope{ID: strconv.AppendInt(nil, id, 10), damage: e}, true
}

// An outline is what a message says of itself at its outermost level. It is found by looking for
// keys, quotes and brackets only, so that it may be part of a message that no decoder reads, and
// without keeping the message.
type outline struct {
	depth                    int
	quoted, escaped, started bool
	over                     bool   // the outermost object has ended
	key                      bool   // a string here is a key of the outermost object
	name                     string // of the member
	word                     []byte // of a key or value at the outermost level
	id                       []byte // a string or a number, as it stands

	tagged, others, outcome, request bool // the members that there are
}

// maxWord is the longest id that is found, in bytes.
const maxWord = 256

// add takes the next part of the message. What stands before the first brace is passed over.
func (o *outline) add(part []byte) {
	for i := 0; i < len(part) && !o.over; i++ {
		if c := part[i]; o.quoted {
			i += o.inString(part[i:])
			continue
		} else if !o.started {
			if at := bytes.IndexByte(part[i:], '{'); at >= 0 {
				i += at
				o.started, o.depth, o.key = true, 1, true
				continue
			}
			return
		} else if o.depth > 1 && c != '"' && c != '{' && c != '[' && c != '}' && c != ']' {
			continue
		}
		o.outside(part[i])
	}
}

// inString takes a part that begins within a string, up to the string's end, and returns how far
// beyond the first byte that is.
func (o *outline) inString(part []byte) int {
	for i, c := range part {
		if o.depth == 1 {
			o.keep(c)
		}
		switch {
		case o.escaped:
			o.escaped = false
		case c == '\\':
			o.escaped = true
		case c == '"':
			o.quoted = false
			if o.depth == 1 && o.key {
				o.named(string(o.word))
			}
			return i
		}
	}
	return len(part)
}

func (o *outline) outside(c byte) {
	switch c {
	case '"':
		o.quoted = true
		if o.depth == 1 {
			o.word = append(o.word[:0], c)
		}
	case '{', '[':
		o.depth++
	case '}', ']':
		if o.depth == 1 {
			o.value()
			o.over = true
		}
		o.depth--
	case ',':
		o.value()
		o.key = true
	case ' ', '\t', '\r', '\n', ':':
	default:
		o.keep(c)
	}
}

// keep adds to the word, which is no value any more when it is too long.
func (o *outline) keep(c byte) {
	if len(o.word) == maxWord {
		o.word[0] = '?'
		return
	}
	o.word = append(o.word, c)
}

// named notes the key of a member.
func (o *outline) named(key string) {
	o.name, o.word, o.key = key, o.word[:0], false
	switch key {
	case `"method"`:
		o.request = true
	case `"jsonrpc"`:
		o.tagged = true
	case `"result"`, `"error"`:
		o.outcome = true
	case `"id"`:
	default:
		o.others = true
	}
}

// value notes the value of a member, which has ended.
func (o *outline) value() {
	if o.name == `"id"` {
		o.id = nil
		if w := o.word; len(w) > 0 && (w[0] == '"' || w[0] <= '9') && json.Valid(w) { // not null, true or false
			o.id = bytes.Clone(w)
		}
	}
	o.name, o.word = "", o.word[:0]
}

// answerID is the id of what seems to be an answer.
func (o *outline) answerID() (id []byte, ok bool) {
	return o.id, o.id != nil && !o.request && o.outcome && (o.tagged || !o.others)
}
