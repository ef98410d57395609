package difftest

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"strings"
)

// canon is JSON with its members in order and without space; numbers and strings stay what they
// are. What is not JSON stays as it is.
func canon(raw []byte) string {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return string(raw)
	}
	if _, err := d.Token(); err != io.EOF {
		return string(raw)
	}
	return encode(v)
}

// encode is json.Marshal for people: it leaves <, > and & as they are.
func encode(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// requestID is the id of a request: the two ways number theirs apart.
var requestID = regexp.MustCompile(`"(id|requestId)":("x-)?[0-9]+"?`)

// withoutIDs is a message without what differs from way to way.
func withoutIDs(msg string) string {
	return ourToken.ReplaceAllString(requestID.ReplaceAllString(msg, `"$1":0`), `"om-0"`)
}

// ourToken is a progress token.
var ourToken = regexp.MustCompile(`"om-[0-9]+"`)
