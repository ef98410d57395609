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
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Print writes the effective configuration as YAML, each value with a comment that
// names its source. Secrets are masked. Where there are none the text is a project
// file that loads to the same configuration.
func Print(w io.Writer, c *Config) error {
	c = c.WithDefaults()
	p := printer{c: c, w: bufio.NewWriter(w)}
	p.block(0, p.fields(nil, reflect.ValueOf(c).Elem()))
	if err := p.w.Flush(); err != nil { // a bufio.Writer keeps its first error
		return fmt.Errorf("print the configuration: %w", err)
	}
	return nil
}

type printer struct {
	c *Config
	w *bufio.Writer
}

// shown is a value ready to be printed: a scalar's text, or the entries of a block.
type shown struct {
	key    string // as YAML, or "-" for a list's item
	text   string
	source string
	block  []shown
}

// commentColumn is where the comments stand, unless a value is longer.
const commentColumn = 44

// block prints entries, one line for each scalar.
func (p *printer) block(depth int, entries []shown) {
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

// fields lists the keys of a struct that have a value.
func (p *printer) fields(path []string, v reflect.Value) []shown {
	out := []shown{}
	for _, f := range configSchema.Fields(v.Type()) {
		if fv := v.FieldByIndex(f.Index); !fv.IsZero() {
			out = append(out, p.value(append(slices.Clone(path), f.Name), f.Name+":", fv, false))
		}
	}
	return out
}

func (p *printer) value(path []string, key string, v reflect.Value, untyped bool) shown {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return shown{key: key, text: "null", source: p.source(path)}
		}
		v = v.Elem()
	}
	if text, ok := p.scalar(path, v, untyped); ok {
		return shown{key: key, text: text, source: p.source(path)}
	}
	switch v.Kind() {
	case reflect.Struct:
		if block := p.fields(path, v); len(block) > 0 {
			return shown{key: key, block: block}
		}
	case reflect.Map:
		if v.Len() > 0 {
			return shown{key: key, block: p.entries(path, v, untyped)}
		}
	case reflect.Slice:
		return p.list(path, key, v, untyped)
	}
	return shown{key: key, text: "{}", source: p.source(path)}
}

func (p *printer) entries(path []string, v reflect.Value, untyped bool) []shown {
	var names []string
	if len(path) == 1 && path[0] == "agents" {
		names = p.c.AgentNames()
	} else {
		for _, k := range v.MapKeys() {
			names = append(names, k.String())
		}
		slices.Sort(names)
	}
	out := make([]shown, len(names))
	for i, name := range names {
		elem := v.MapIndex(reflect.ValueOf(name).Convert(v.Type().Key()))
		out[i] = p.value(append(slices.Clone(path), name), yamlText(name)+":", elem, untyped ||
			elem.Kind() == reflect.Interface)
	}
	return out
}

// list prints a list of scalars on one line, any other as a block.
func (p *printer) list(path []string, key string, v reflect.Value, untyped bool) shown {
	items, flat := make([]shown, v.Len()), make([]string, v.Len())
	simple := true
	for i := range items {
		elem := v.Index(i)
		items[i] = p.value(append(slices.Clone(path), Item(i)), "-", elem, untyped ||
			elem.Kind() == reflect.Interface)
		flat[i] = items[i].text
		simple = simple && items[i].block == nil
	}
	if !simple {
		return shown{key: key, block: items}
	}
	return shown{key: key, text: "[" + strings.Join(flat, ", ") + "]", source: p.source(path)}
}

func (p *printer) scalar(path []string, v reflect.Value, untyped bool) (string, bool) {
	if d, ok := v.Interface().(time.Duration); ok {
		return shortDuration(d), true
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		return string(text), err == nil
	}
	switch v.Kind() {
	case reflect.String:
		return yamlText(p.masked(path, v.String())), true
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), true
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), true
	case reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10), true
	case reflect.Float64:
		text := strconv.FormatFloat(v.Float(), 'f', -1, 64)
		if untyped && !strings.Contains(text, ".") {
			text += ".0" // it was a float, and must be read as one
		}
		return text, true
	}
	return "", false
}

func (p *printer) masked(path []string, text string) string {
	if isSecret(path) {
		return "***"
	}
	if p.c.source != nil {
		if n := p.c.source.root.At(path...); n != nil && n.Masked != "" {
			return n.Masked
		}
	}
	return text
}

// source names where a value was written; nothing for a Config made in Go.
func (p *printer) source(path []string) string {
	if p.c.source == nil {
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

// shortDuration writes a duration without the zero units that Duration.String ends in.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
