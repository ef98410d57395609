// Package rawjson reads and writes JSON without decoding it: it finds the members of an object and
// the items of an array as slices of the raw text, and allocates nothing for that.
package rawjson

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Valid reports whether b is surely one JSON value. What nests deeper than 512 levels is not: ask
// encoding/json then.
func Valid(b []byte) bool { return scanValue(b, space(b, 0)) == len(b) }

// Prefix is the length of the JSON value that b begins with, or -1, see [Valid].
func Prefix(b []byte) int { return scanValue(b, 0) }

// Object calls f for each member of the JSON object b: the key's content without quotes and the raw
// value, both slices of b. It validates what it passes and does not allocate. It is false if f was,
// or if b is not an object, has a key with an escape, or nests deeper than 512 levels.
func Object(b []byte, f func(key, value []byte) bool) bool {
	i, more := enter(b, '{')
	for more {
		if i >= len(b) || b[i] != '"' {
			return false
		}
		end, plain := scanString(b, i)
		if end < 0 || !plain {
			return false
		}
		key := b[i+1 : end-1 : end-1]
		if i = space(b, end); i >= len(b) || b[i] != ':' {
			return false
		}
		i = space(b, i+1)
		if end = scanValue(b, i); end < 0 || !f(key, b[i:end:end]) {
			return false
		}
		i, more = next(b, end, '{')
	}
	return i == len(b)
}

// Array calls f for each item of the JSON array b, as [Object] does for members.
func Array(b []byte, f func(item []byte) bool) bool {
	i, more := enter(b, '[')
	for more {
		end := scanValue(b, i)
		if end < 0 || !f(b[i:end:end]) {
			return false
		}
		i, more = next(b, end, '[')
	}
	return i == len(b)
}

// enter returns the index of the first element of the container b, which begins with open. Without
// more there is none: i is the length of b if the container is empty and all there is.
func enter(b []byte, open byte) (i int, more bool) {
	if i = space(b, 0); i >= len(b) || b[i] != open {
		return -1, false
	}
	if i = space(b, i+1); i < len(b) && b[i] == open+2 { // '{'+2 is '}', '['+2 is ']'
		return space(b, i+1), false
	}
	return i, true
}

// next returns the index of the element that follows the one that ends at i. Without more there is
// none: i is the length of b if the container ends properly.
func next(b []byte, i int, open byte) (int, bool) {
	if i = space(b, i); i >= len(b) {
		return -1, false
	}
	switch b[i] {
	case ',':
		return space(b, i+1), true
	case open + 2:
		return space(b, i+1), false
	}
	return -1, false
}

// Unquote decodes a JSON string. It is false for anything else, and for one that is not UTF-8.
func Unquote(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' || !utf8.Valid(raw) {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	var room [256]byte
	out := room[:0]
	for b := raw[1 : len(raw)-1]; ; {
		i := bytes.IndexByte(b, '\\')
		if i < 0 {
			return string(append(out, b...)), true
		}
		if i+1 >= len(b) {
			return "", false
		}
		c := bytes.IndexByte([]byte(`"\/bfnrt`), b[i+1])
		if c < 0 { // by number
			var s string
			return s, json.Unmarshal(raw, &s) == nil
		}
		out = append(append(out, b[:i]...), "\"\\/\b\f\n\r\t"[c])
		b = b[i+2:]
	}
}

// AppendQuote appends s as a JSON string. What is not UTF-8 in it becomes U+FFFD.
func AppendQuote[T string | []byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[start:i]...), `\ufffd`...)
				start = i + 1
			}
			i += n
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}
