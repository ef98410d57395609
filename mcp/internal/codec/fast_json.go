package codec

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"

	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// SetOnce sets dst, and reports whether it had no value before.
func SetOnce(dst *[]byte, v []byte) bool {
	if *dst != nil {
		return false
	}
	*dst = v
	return true
}

// scanInt reads an integer. For any other number plain is false, and n the integer next to 0 of it.
func scanInt(raw []byte) (n int64, plain bool) {
	n, err := strconv.ParseInt(string(raw), 10, 54)
	if err == nil {
		return n, true
	}
	if f, err := strconv.ParseFloat(string(raw), 64); err == nil && f >= math.MinInt64 && f < math.MaxInt64 {
		return int64(f), false
	}
	return 0, false
}

// metaWriter writes an object's members; empty ones are left out.
type metaWriter struct {
	dst   []byte
	start int
}

func (m *metaWriter) key(k string) []byte {
	open := byte(',')
	if len(m.dst) == m.start {
		open = '{'
	}
	return append(append(append(m.dst, open, '"'), k...), `":`...)
}

func (m *metaWriter) text(k, v string) {
	if v != "" {
		m.dst = rawjson.AppendQuote(m.key(k), v)
	}
}

func (m *metaWriter) number(k string, v int64) {
	if v != 0 {
		m.dst = strconv.AppendInt(m.key(k), v, 10)
	}
}

// AppendJSON appends v as JSON to dst, as the SDK writes it: with <, > and & as they are.
func AppendJSON(dst []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	e := json.NewEncoder(buf)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(buf.Bytes(), "\n"), err
}

// AppendOneLine appends JSON without the line breaks that it may hold between its values.
func AppendOneLine(dst, raw []byte) []byte {
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return append(dst, raw...)
	}
	buf := bytes.NewBuffer(dst)
	if json.Compact(buf, raw) != nil {
		return append(dst, raw...) // not valid: the caller has checked
	}
	return buf.Bytes()
}

// Compact takes the space between values out, as the SDK's way does by decoding and encoding again.
func Compact(raw []byte) json.RawMessage {
	if !bytes.ContainsAny(raw, " \t\r\n") {
		return raw
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}
