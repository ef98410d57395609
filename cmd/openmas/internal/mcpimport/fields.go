package mcpimport

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// fields are the keys of one server. Those that nobody took are told as left out.
type fields struct {
	values map[string]any
	taken  map[string]bool
}

func (f fields) first(keys ...string) (string, any) {
	for _, key := range keys {
		if v := f.values[key]; v != nil && !f.taken[key] {
			return key, v
		}
	}
	return "", nil
}

// text takes the first key that is a scalar.
func (f fields) text(keys ...string) string {
	key, v := f.first(keys...)
	s := textOf(v)
	if s != "" {
		f.taken[key] = true
	}
	return s
}

// list takes the first key that is a list of scalars, or one text. A null in it is skipped.
func (f fields) list(keys ...string) ([]string, bool) {
	key, v := f.first(keys...)
	var list []string
	switch v := v.(type) {
	case string:
		list = splitWords(v)
	case []any:
		for _, item := range v {
			switch item.(type) {
			case map[string]any, []any:
				return nil, false
			case nil:
				continue
			}
			list = append(list, textOf(item))
		}
	default:
		return nil, false
	}
	f.taken[key] = true
	return list, true
}

// splitWords cuts a command line at its spaces, but not inside of quotes.
func splitWords(s string) (words []string) {
	var word strings.Builder
	quote, began := rune(0), false
	for _, r := range s + " " {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, began = r, true
		case quote == 0 && unicode.IsSpace(r):
			if began {
				words = append(words, word.String())
				word.Reset()
				began = false
			}
		default:
			word.WriteRune(r)
			began = true
		}
	}
	if quote != 0 { // an apostrophe
		return strings.Fields(s)
	}
	return words
}

// byName is a value that names others: an object, or a list of texts such as NAME=value.
func byName(v any, between string) (map[string]any, bool) {
	items, ok := v.([]any)
	if !ok {
		named, ok := v.(map[string]any)
		return named, ok
	}
	named := map[string]any{}
	for _, item := range items {
		text, _ := item.(string)
		name, value, ok := strings.Cut(text, between)
		if !ok {
			return nil, false
		}
		named[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return named, true
}

// duration takes a key that is a number of units, more than 0 and less than a year.
func (f fields) duration(key string, unit time.Duration) time.Duration {
	const longest = 365 * 24 * time.Hour
	n, err := strconv.ParseFloat(textOf(f.values[key]), 64)
	d := n * float64(unit)
	if err != nil || f.taken[key] || !(d >= float64(time.Millisecond) && d < float64(longest)) {
		return 0
	}
	f.taken[key] = true
	return time.Duration(d).Round(time.Millisecond)
}
