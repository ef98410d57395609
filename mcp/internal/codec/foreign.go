package codec

import (
	"bytes"
	"encoding/json"
	"unicode/utf16"
	"unicode/utf8"
)

// Readable makes JSON of a server into JSON that every client can read, in one line: what is not
// UTF-8 in it, and halves of surrogate pairs, become U+FFFD, as they do for whoever decodes it
// here.
func Readable(raw json.RawMessage) json.RawMessage {
	if !utf8.Valid(raw) {
		raw = bytes.ToValidUTF8(raw, []byte("\uFFFD"))
	}
	if bytes.Contains(raw, []byte(`\ud`)) || bytes.Contains(raw, []byte(`\uD`)) {
		raw = wholeSurrogates(raw)
	}
	if bytes.ContainsAny(raw, "\r\n") {
		raw = Compact(raw)
	}
	return raw
}

// wholeSurrogates replaces escapes of half a surrogate pair. raw is valid JSON.
func wholeSurrogates(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
			continue
		}
		n := 2
		if r, ok := escapedRune(raw[i:]); ok {
			n = 6
			if utf16.IsSurrogate(r) {
				if low, ok := escapedRune(raw[i+6:]); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
					n = 12
				} else {
					out, i = append(out, `\ufffd`...), i+6
					continue
				}
			}
		}
		n = min(n, len(raw)-i)
		out = append(out, raw[i:i+n]...)
		i += n
	}
	return out
}

// escapedRune is the code unit that \uXXXX at the beginning of b stands for.
func escapedRune(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		default:
			c = c | 0x20 - 'a' + 10
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
