package rawjson

import (
	"encoding/binary"
	"math/bits"
)

// This is a validating JSON scanner: it finds where values end, allocates nothing, and accepts
// nothing that encoding/json does not.

// maxDepth bounds the nesting of a value. The SDK refuses a message deeper than 1000.
const maxDepth = 512

// scanValue returns the index just past the JSON value at b[i], or -1.
func scanValue(b []byte, i int) int {
	var object [maxDepth / 64]uint64 // one bit a level: an object, not an array
	depth := 0
	for {
		if i >= len(b) {
			return -1
		}
		switch c := b[i]; c {
		case '{', '[':
			if depth == maxDepth {
				return -1
			}
			word, bit := &object[depth/64], uint64(1)<<(depth%64)
			depth++
			i = space(b, i+1)
			if i >= len(b) {
				return -1
			}
			if b[i] == c+2 { // '{'+2 is '}', '['+2 is ']'
				i++
				depth--
				break
			}
			if *word &^= bit; c == '{' {
				*word |= bit
				if i = scanKey(b, i); i < 0 {
					return -1
				}
			}
			continue
		case '"':
			i, _ = scanString(b, i)
		case 't':
			i = literal(b, i, "true")
		case 'f':
			i = literal(b, i, "false")
		case 'n':
			i = literal(b, i, "null")
		default:
			i = scanNumber(b, i)
		}
		if i < 0 {
			return -1
		}
	after:
		if depth == 0 {
			return i
		}
		if i = space(b, i); i >= len(b) {
			return -1
		}
		inObject := object[(depth-1)/64]>>((depth-1)%64)&1 == 1
		switch {
		case b[i] == ',':
			if i = space(b, i+1); inObject {
				if i = scanKey(b, i); i < 0 {
					return -1
				}
			}
		case inObject && b[i] == '}', !inObject && b[i] == ']':
			i++
			depth--
			goto after
		default:
			return -1
		}
	}
}

// scanKey returns the index of the value whose key is at b[i], or -1.
func scanKey(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	if i, _ = scanString(b, i); i < 0 {
		return -1
	}
	if i = space(b, i); i >= len(b) || b[i] != ':' {
		return -1
	}
	return space(b, i+1)
}

// scanString returns the index just past the string that opens at b[i], or -1; plain means that it
// holds no escape.
func scanString(b []byte, i int) (end int, plain bool) {
	plain = true
	for i++; i < len(b); {
		// Eight bytes at a time to the first quote, backslash or control character (the lowest
		// flagged byte is exact).
		for i+8 <= len(b) {
			const ones, high = 0x0101010101010101, 0x8080808080808080
			w := binary.LittleEndian.Uint64(b[i:])
			q, s := w^(ones*'"'), w^(ones*'\\')
			if m := ((w-ones*0x20)&^w | (q-ones)&^q | (s-ones)&^s) & high; m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		if i >= len(b) {
			break
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, plain
		case c == '\\':
			plain = false
			if i = scanEscape(b, i+1); i < 0 {
				return -1, false
			}
		case c < 0x20:
			return -1, false
		default:
			i++
		}
	}
	return -1, false
}

// scanEscape returns the index just past the escape whose backslash is before b[i], or -1.
func scanEscape(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if i+5 > len(b) {
			return -1
		}
		for _, c := range b[i+1 : i+5] {
			if !digit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
				return -1
			}
		}
		return i + 5
	}
	return -1
}

// scanNumber returns the index just past the number at b[i], or -1.
func scanNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = digits(b, i); i < 0 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = digits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digits(b, i)
	}
	return i
}

// digits returns the index just past the digits at b[i], of which there must be one, or -1.
func digits(b []byte, i int) int {
	if i >= len(b) || !digit(b[i]) {
		return -1
	}
	for i < len(b) && digit(b[i]) {
		i++
	}
	return i
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func literal(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}
