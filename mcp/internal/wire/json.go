package wire

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Valid reports whether b is surely one JSON value. What nests deeper than 512 levels is not: ask encoding/json then.
func Valid(b []byte) bool { return validJSON(b) }

// Array calls f for each item of the JSON array b, as [Object] does for members.
func Array(b []byte, f func(item []byte) bool) bool {
	i := space(b, 0)
	if i >= len(b) || b[i] != '[' {
		return false
	}
	if i = space(b, i+1); i < len(b) && b[i] == ']' {
		return space(b, i+1) == len(b)
	}
	for {
		end := scanValue(b, i)
		if end < 0 || !f(b[i:end:end]) {
			return false
		}
		if i = space(b, end); i >= len(b) {
			return false
		}
		switch b[i] {
		case ',':
			i = space(b, i+1)
		case ']':
			return space(b, i+1) == len(b)
		default:
			return false
		}
	}
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
