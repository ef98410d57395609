package rawjson

import "bytes"

// What follows looks for brackets, quotes and commas only. It finds what is where in a text that no
// decoder reads, such as JSON with NaN in it, or one that nests too deep.

// Parts are the members of an object or the items of an array, without the space around them. ok is
// false for anything else, and for what is cut off.
func Parts(b []byte) (parts [][]byte, ok bool) {
	if b = bytes.TrimSpace(b); len(b) < 2 || b[0] != '{' && b[0] != '[' {
		return nil, false
	}
	depth, start := 0, 1
	part := func(end int) {
		if p := bytes.TrimSpace(b[start:end]); len(p) > 0 {
			parts = append(parts, p)
		}
		start = end + 1
	}
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			if i = stringEnd(b, i); i < 0 {
				return nil, false
			}
		case '{', '[':
			depth++
		case ',':
			if depth == 1 {
				part(i)
			}
		case '}', ']':
			if depth--; depth == 0 {
				part(i)
				return parts, i == len(b)-1
			}
		}
	}
	return nil, false
}

// Member are the key and the value of one of an object's Parts, as they stand; key is nil if it is
// no member.
func Member(part []byte) (key, value []byte) {
	if part[0] != '"' {
		return nil, nil
	}
	end := stringEnd(part, 0)
	if end < 0 {
		return nil, nil
	}
	value, ok := bytes.CutPrefix(bytes.TrimSpace(part[end+1:]), []byte{':'})
	if !ok {
		return nil, nil
	}
	return part[:end+1], bytes.TrimSpace(value)
}

// Depth is how many brackets of b are open at once.
func Depth(b []byte) (deepest int) {
	for i, depth := 0, 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			if i = stringEnd(b, i); i < 0 {
				return deepest
			}
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest
}

// stringEnd is the index of the quote that ends the string at b[i], or -1.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}
