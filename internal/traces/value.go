package traces

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// attributes are a list of keys and typed values in OTLP.
type attributes map[string]any

type member struct {
	Key   string `json:"key"`
	Value value  `json:"value"`
}

type value struct {
	String *string     `json:"stringValue,omitempty"`
	Int    *jsonInt    `json:"intValue,omitempty"`
	Double *float64    `json:"doubleValue,omitempty"`
	Bool   *bool       `json:"boolValue,omitempty"`
	Array  *arrayValue `json:"arrayValue,omitempty"`
}

type arrayValue struct {
	Values []value `json:"values"`
}

// jsonInt is a text in JSON, as nanos are.
type jsonInt int64

// MarshalJSON implements json.Marshaler.
func (n jsonInt) MarshalJSON() ([]byte, error) { return nanos(n).MarshalJSON() }

// UnmarshalJSON implements json.Unmarshaler.
func (n *jsonInt) UnmarshalJSON(b []byte) error { return (*nanos)(n).UnmarshalJSON(b) }

// MarshalJSON implements json.Marshaler.
func (a attributes) MarshalJSON() ([]byte, error) {
	out := make([]member, 0, len(a))
	for _, key := range slices.Sorted(maps.Keys(a)) {
		out = append(out, member{key, valueOf(a[key])})
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *attributes) UnmarshalJSON(b []byte) error {
	var in []member
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*a = make(attributes, len(in))
	for _, m := range in {
		(*a)[m.Key] = m.Value.plain()
	}
	return nil
}

func valueOf(v any) value {
	switch v := v.(type) {
	case string:
		return value{String: &v}
	case bool:
		return value{Bool: &v}
	case int64:
		n := jsonInt(v)
		return value{Int: &n}
	case float64:
		return value{Double: &v}
	case []string:
		var list arrayValue
		for _, s := range v {
			list.Values = append(list.Values, value{String: &s})
		}
		return value{Array: &list}
	}
	text := fmt.Sprint(v)
	return value{String: &text}
}

func (v value) plain() any {
	switch {
	case v.String != nil:
		return *v.String
	case v.Bool != nil:
		return *v.Bool
	case v.Int != nil:
		return int64(*v.Int)
	case v.Double != nil:
		return *v.Double
	case v.Array != nil:
		list := []string{}
		for _, item := range v.Array.Values {
			list = append(list, fmt.Sprint(item.plain()))
		}
		return list
	}
	return ""
}

// nanos since 1970 are a text in JSON, for readers whose numbers are floats.
type nanos int64

func (n nanos) time() time.Time { return time.Unix(0, int64(n)) }

// MarshalJSON implements json.Marshaler.
func (n nanos) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, strconv.FormatInt(int64(n), 10)), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *nanos) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(unquoted(b), 10, 64)
	*n = nanos(v)
	return err
}

func unquoted(b []byte) string {
	if s, err := strconv.Unquote(string(b)); err == nil {
		return s
	}
	return string(b)
}
