package bus

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// escape writes as %XX what a header line of some broker would not keep: control characters, a
// space at either end, what is no UTF-8, the percent sign itself, and the bytes in also.
func escape(s, also string) string {
	if !needsEscape(s, also) {
		return s
	}
	valid := utf8.ValidString(s)
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		edge := c == ' ' && (i == 0 || i == len(s)-1)
		if edge || c < ' ' || c == 0x7f || c == '%' || c > 0x7f && !valid || strings.IndexByte(also, c) >= 0 {
			const hex = "0123456789ABCDEF"
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// escapeKey leaves what the header names of every broker allow: letters, digits, -, _ and dots.
func escapeKey(s string) string {
	plain := func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			const hex = "0123456789ABCDEF"
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

func needsEscape(s, also string) bool {
	if s == "" {
		return false
	}
	if s[0] == ' ' || s[len(s)-1] == ' ' {
		return true
	}
	high := false
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c == 0x7f || c == '%' || also != "" && strings.IndexByte(also, c) >= 0 {
			return true
		}
		high = high || c > 0x7f
	}
	return high && !utf8.ValidString(s)
}

// unescape undoes escape; false when a percent sign is not followed by two hexadecimal digits.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(n))
		i += 2
	}
	return b.String(), true
}
