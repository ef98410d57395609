// Package jsonedit changes JSON in one place and leaves all else as it stands: the order of
// members, the digits of numbers, the spelling of strings.
package jsonedit

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// A Member is one of an object's: its key decoded, its value as it stands.
type Member struct {
	Key   string
	Value json.RawMessage
}

// An Object is the members of a JSON object, in order, each key once.
type Object []Member

// ParseObject reads an object; ok is false for anything else. See [ReadObject].
func ParseObject(raw []byte) (o Object, ok bool) {
	o, _, err := ReadObject(raw)
	return o, err == nil
}

// ReadObject reads an object. The values are slices of raw where they can be. Of two members with
// one key the last counts, in the place of the first, as decoders have it; repeated reports that
// there were some.
func ReadObject(raw []byte) (o Object, repeated bool, err error) {
	if !rawjson.Object(raw, func(k, v []byte) bool { o = append(o, Member{string(k), v}); return true }) {
		// a key is spelled with escapes, or the object is very deep; or it is none
		if o, err = decodeObject(raw); err != nil {
			return nil, false, err
		}
	}
	at := make(map[string]int, len(o))
	kept := o[:0]
	for _, m := range o {
		if i, again := at[m.Key]; again {
			kept[i].Value = m.Value
		} else {
			at[m.Key] = len(kept)
			kept = append(kept, m)
		}
	}
	return kept, len(kept) < len(o), nil
}

func decodeObject(raw []byte) (o Object, err error) {
	if !json.Valid(raw) {
		return nil, errors.New("it is no JSON")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := Member{Key: key.(string)} // the decoder allows nothing else there
		if err := d.Decode(&m.Value); err != nil {
			return nil, err
		}
		o = append(o, m)
	}
	return o, nil
}

func (o Object) index(key string) int {
	for i := range o {
		if o[i].Key == key {
			return i
		}
	}
	return -1
}

// Get is the value of a member; nil when there is none.
func (o Object) Get(key string) json.RawMessage {
	if i := o.index(key); i >= 0 {
		return o[i].Value
	}
	return nil
}

// Set gives a member a value, in its place or, when it is new, at the end.
func (o *Object) Set(key string, value json.RawMessage) {
	if i := o.index(key); i >= 0 {
		(*o)[i].Value = value
		return
	}
	*o = append(*o, Member{key, value})
}

// Delete takes a member out, and reports whether it was there.
func (o *Object) Delete(key string) bool {
	i := o.index(key)
	if i < 0 {
		return false
	}
	*o = append((*o)[:i], (*o)[i+1:]...)
	return true
}

// Raw is the object as JSON.
func (o Object) Raw() json.RawMessage {
	dst := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(rawjson.AppendQuote(dst, m.Key), ':'), m.Value...)
	}
	return append(dst, '}')
}

// ParseArray reads an array; ok is false for anything else. The items are slices of raw.
func ParseArray(raw []byte) (items []json.RawMessage, ok bool) {
	if rawjson.Array(raw, func(item []byte) bool { items = append(items, item); return true }) {
		return items, true
	}
	items = nil // very deep, or none
	if b := bytes.TrimSpace(raw); len(b) == 0 || b[0] != '[' || json.Unmarshal(raw, &items) != nil {
		return nil, false
	}
	return items, true
}

// Array is items as a JSON array.
func Array(items []json.RawMessage) json.RawMessage {
	dst := []byte{'['}
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, item...)
	}
	return append(dst, ']')
}

// String is s as JSON.
func String(s string) json.RawMessage { return rawjson.AppendQuote(nil, s) }

// Kind is the first byte of a value, which says what it is: one of {["tfn, a digit or a minus; 0
// when there is no value.
func Kind(raw []byte) byte {
	if raw = bytes.TrimLeft(raw, " \t\r\n"); len(raw) > 0 {
		return raw[0]
	}
	return 0
}

// Edit gives what path leads to the value that f makes of it, or takes it out where that is nil.
// The parts of a path are keys of objects and indices of arrays. When it leads nowhere, raw is
// returned as it is.
func Edit(raw json.RawMessage, path []string, f func(old json.RawMessage) json.RawMessage) json.RawMessage {
	if len(path) == 0 {
		return f(raw)
	}
	if o, ok := ParseObject(raw); ok {
		old := o.Get(path[0])
		if old == nil {
			return raw
		}
		if now := Edit(old, path[1:], f); now != nil {
			o.Set(path[0], now)
		} else {
			o.Delete(path[0])
		}
		return o.Raw()
	}
	items, ok := ParseArray(raw)
	i, err := strconv.Atoi(path[0])
	if !ok || err != nil || i < 0 || i >= len(items) {
		return raw
	}
	if now := Edit(items[i], path[1:], f); now != nil {
		items[i] = now
	} else {
		items = append(items[:i], items[i+1:]...)
	}
	return Array(items)
}

// OutOfRange is a number in valid JSON that is too large for the floating-point numbers of most
// programs, which cannot read anything around it then; empty: there is none.
func OutOfRange(raw []byte) string {
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
		case '0' <= c && c <= '9':
			end := i
			for end < len(raw) && strings.IndexByte("0123456789+-.eE", raw[end]) >= 0 {
				end++
			}
			number := string(raw[i:end])
			if len(number) > 300 || strings.ContainsAny(number, "eE") {
				if _, err := strconv.ParseFloat(number, 64); err != nil {
					return number
				}
			}
			i = end - 1
		}
	}
	return ""
}
