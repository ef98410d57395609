package project

import (
	"cmp"
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// scalars set the values of the kinds that are written as one word.
var scalars = map[reflect.Kind]func(d *decoder, dst reflect.Value, v any) bool{
	reflect.String: (*decoder).string, reflect.Bool: (*decoder).bool,
	reflect.Int: (*decoder).whole, reflect.Int8: (*decoder).whole, reflect.Int16: (*decoder).whole,
	reflect.Int32: (*decoder).whole, reflect.Int64: (*decoder).whole,
	reflect.Uint: (*decoder).whole, reflect.Uint8: (*decoder).whole, reflect.Uint16: (*decoder).whole,
	reflect.Uint32: (*decoder).whole, reflect.Uint64: (*decoder).whole,
	reflect.Float32: (*decoder).float, reflect.Float64: (*decoder).float,
}

// positive refuses what is not more than 0: in a Config that means the default, or off.
func (d *decoder) positive(v any, more bool, format string, args ...any) bool {
	if d.tree == nil || more {
		return true
	}
	return d.fail(v, cmp.Or(d.key.orOff(), "leave the key out for the default"), format, args...)
}

func (d *decoder) string(dst reflect.Value, v any) bool {
	switch value := plainOf(v).(type) {
	case string:
		dst.SetString(value)
		return true
	case bool, int64, uint64, int, float64:
		return d.wanted(v, "write it in quotes: "+strconv.Quote(literal(v)), "text")
	}
	return d.wanted(v, "", "text")
}

func (d *decoder) bool(dst reflect.Value, v any) bool {
	value := plainOf(v)
	if d.tree != nil && value == offText {
		value = false
	}
	switch value {
	case true, "true":
		dst.SetBool(true)
	case false, "false":
		dst.SetBool(false)
	default:
		return d.wanted(v, "", "true or false")
	}
	return true
}

func (d *decoder) duration(dst reflect.Value, v any) bool {
	const example = `write a number and a unit: "300ms", "3s", "5m"`
	value := plainOf(v)
	wait, isDuration := value.(time.Duration) // from Go code
	if s, ok := value.(string); ok {
		var err error
		if wait, err = time.ParseDuration(s); err != nil {
			if _, err := strconv.ParseFloat(s, 64); err != nil {
				return d.wanted(v, example, "a duration")
			}
			return d.wanted(v, example, "a duration with a unit")
		}
	} else if !isDuration {
		return d.wanted(v, example, "a duration with a unit")
	}
	dst.SetInt(int64(wait))
	return d.positive(v, wait > 0, "a duration must be longer than 0")
}

// text sets a type that reads its own text.
func (d *decoder) text(dst reflect.Value, v any) bool {
	s, ok := "", false
	switch value := plainOf(v).(type) {
	case string:
		s, ok = value, true
	case int, int64, uint64, float64, bool:
		s, ok = fmt.Sprint(value), true
	default:
		if reflect.TypeOf(value) == dst.Type() { // from Go code
			dst.Set(reflect.ValueOf(value))
			return true
		}
	}
	if !ok {
		return d.wanted(v, "", "text")
	}
	if err := dst.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		if d.tree == nil || quote(v, s) != strconv.Quote(s) {
			// err may quote a secret
			return d.fail(v, "", "the text is no valid %s", strings.ToLower(dst.Type().Name()))
		}
		return d.fail(v, "", "%v", err)
	}
	return true
}

func (d *decoder) whole(dst reflect.Value, v any) bool {
	unsigned := dst.CanUint()
	var i int64
	switch n := plainOf(v).(type) {
	case int:
		i = int64(n)
	case int64:
		i = n
	case uint64:
		if !unsigned || dst.OverflowUint(n) {
			return d.fail(v, "", "the number %d is too large", n)
		}
		dst.SetUint(n)
		return true
	case float64:
		if n != math.Trunc(n) || math.Abs(n) > 1<<53 {
			return d.wanted(v, "", "a whole number")
		}
		i = int64(n)
	case string:
		var err error
		if i, err = strconv.ParseInt(n, 10, 64); err != nil {
			return d.wanted(v, "", "a whole number")
		}
	default:
		return d.wanted(v, "", "a whole number")
	}
	switch {
	case !d.positive(v, i > 0, "must be at least 1, not %d", i):
		return false
	case unsigned && i < 0:
		return d.fail(v, "", "must not be negative, as %d is", i)
	case unsigned && dst.OverflowUint(uint64(i)), !unsigned && dst.OverflowInt(i):
		return d.fail(v, "", "the number %d is too large", i)
	case unsigned:
		dst.SetUint(uint64(i))
	default:
		dst.SetInt(i)
	}
	return true
}

func (d *decoder) float(dst reflect.Value, v any) bool {
	var f float64
	switch n := plainOf(v).(type) {
	case int:
		f = float64(n)
	case int64:
		f = float64(n)
	case uint64:
		f = float64(n)
	case float64:
		f = n
	case string:
		var err error
		if f, err = strconv.ParseFloat(n, 64); err != nil {
			return d.wanted(v, "", "a number")
		}
	default:
		return d.wanted(v, "", "a number")
	}
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return d.fail(v, "", "is not a number that can be used here")
	}
	dst.SetFloat(f)
	return d.positive(v, f > 0, "must be more than 0, not %v", f)
}
