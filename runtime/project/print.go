package project

import (
	"bufio"
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Print writes the effective configuration as YAML, each value with a comment that names its
// source. Secrets are masked, also what is written like one in headers, environments and URLs.
// Where there are none the text is a project file that loads to the same configuration.
func Print(w io.Writer, c *Config) error {
	c = c.filled()
	p := printer{c: c, w: bufio.NewWriter(w)}
	p.block(0, p.section(nil, reflect.ValueOf(c).Elem()))
	if err := p.w.Flush(); err != nil { // a bufio.Writer keeps its first error
		return fmt.Errorf("print the configuration: %w", err)
	}
	return nil
}

type printer struct {
	c *Config
	w *bufio.Writer
}

// printed is a value ready to be printed: a scalar's text, or the entries of a block.
type printed struct {
	key    string // as YAML, or "-" for a list's item
	text   string
	source string
	block  []printed
}

// commentColumn is where the comments stand, unless a value is longer.
const commentColumn = 44

// block prints entries, one line for each scalar.
func (p *printer) block(depth int, entries []printed) {
	for _, e := range entries {
		line := strings.Repeat("  ", depth) + e.key
		if e.block != nil {
			p.w.WriteString(line + "\n")
			p.block(depth+1, e.block)
			continue
		}
		line += " " + e.text
		if e.source != "" {
			line += strings.Repeat(" ", max(2, commentColumn-utf8.RuneCountInString(line))) + "# " + e.source
		}
		p.w.WriteString(line + "\n")
	}
}

// section lists the keys of a struct that have a value.
func (p *printer) section(path []string, v reflect.Value) []printed {
	out := []printed{}
	for i := range declared.section(v.Type()).keys {
		k := &declared.section(v.Type()).keys[i]
		if field := v.FieldByIndex(k.index); !field.IsZero() {
			out = append(out, p.value(below(path, k.name), k.name+":", field, k))
		}
	}
	return out
}

// value shows a value. k is the key that it belongs to, nil where nobody declares what there is.
func (p *printer) value(path []string, key string, v reflect.Value, k *key) printed {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return printed{key: key, text: "null", source: p.source(path)}
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Struct:
		if block := p.section(path, v); len(block) > 0 {
			return printed{key: key, block: block}
		}
	case reflect.Map:
		if v.Len() > 0 {
			return printed{key: key, block: p.entries(path, v, k)}
		}
	case reflect.Slice:
		return p.list(path, key, v, k)
	default:
		return printed{key: key, text: p.scalar(path, v, k), source: p.source(path)}
	}
	return printed{key: key, text: "{}", source: p.source(path)}
}

func (p *printer) entries(path []string, v reflect.Value, k *key) []printed {
	names := sortedKeys(keysOf(v))
	if v.Type().Elem() == agentType {
		names = p.c.AgentNames()
	}
	if v.Type().Elem().Kind() == reflect.Interface {
		k = nil
	}
	out := make([]printed, len(names))
	for i, name := range names {
		elem := v.MapIndex(reflect.ValueOf(name).Convert(v.Type().Key()))
		out[i] = p.value(below(path, name), yamlText(name)+":", elem, k)
	}
	return out
}

func keysOf(m reflect.Value) map[string]bool {
	out := map[string]bool{}
	for _, k := range m.MapKeys() {
		out[k.String()] = true
	}
	return out
}

// list prints a list of scalars on one line, any other as a block.
func (p *printer) list(path []string, key string, v reflect.Value, k *key) printed {
	items, flat := make([]printed, v.Len()), make([]string, v.Len())
	simple := true
	for i := range items {
		items[i] = p.value(below(path, item(i)), "-", v.Index(i), k)
		flat[i] = items[i].text
		simple = simple && items[i].block == nil
	}
	if !simple {
		return printed{key: key, block: items}
	}
	return printed{key: key, text: "[" + strings.Join(flat, ", ") + "]", source: p.source(path)}
}

func (p *printer) scalar(path []string, v reflect.Value, k *key) string {
	switch {
	case k != nil && k.secret:
		return yamlText(mask)
	case v.Kind() == reflect.String:
		text := v.String()
		if k != nil && k.canOff && text == offText {
			return text
		}
		if p.c.written != nil {
			if l, ok := p.c.written.at(path...).(*leaf); ok && l.masked != "" {
				text = l.masked
			}
		}
		return yamlText(maskLiteral(path, text))
	case v.Kind() == reflect.Float64 && k == nil && !strings.Contains(valueText(v), "."):
		return valueText(v) + ".0" // it was a float, and must be read as one
	}
	return valueText(v)
}

// valueText writes a scalar as it is written in a project file, but for a text that needs quotes.
func valueText(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.CanInt() && v.Int() == Off && (v.Type() == durationType || v.Type() == sizeType) {
		return offText
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		return durationText(x)
	case encoding.TextMarshaler:
		if text, err := x.MarshalText(); err == nil {
			return string(text)
		}
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return fmt.Sprint(v.Interface())
}

// source names where a value was written; nothing for a Config made in Go.
func (p *printer) source(path []string) string {
	if p.c.written == nil {
		return ""
	}
	switch pos := p.c.Position(path...); {
	case pos.File != "":
		return fmt.Sprintf("%s:%d", filepath.ToSlash(pos.File), pos.Line)
	case pos.Env != "":
		return "env " + pos.Env
	default:
		return pos.String()
	}
}

var plainText = regexp.MustCompile(`^([A-Za-z_/]|\.{1,2}/|\.[A-Za-z])[A-Za-z0-9_./@%+-]*$`)

// yamlText writes a text so that YAML reads the same text back.
func yamlText(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n", ".inf", ".nan":
	default:
		if plainText.MatchString(s) {
			return s
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b) // JSON's quoted strings are YAML's
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return strconv.Quote(s)
	}
	return strings.TrimSpace(b.String())
}

// durationText writes a duration without the zero units that Duration.String ends in.
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
