package form

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/mail"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/openmas/openmas/internal/multipleof"
)

// Parse reads what somebody has typed for the field. The error says what is wanted.
func (f Field) Parse(typed string) (json.RawMessage, error) {
	value, err := f.read(typed)
	if err != nil {
		return nil, err
	}
	return value, f.check(value)
}

func (f Field) read(typed string) (json.RawMessage, error) {
	if f.Choices != nil {
		return f.choose(typed)
	}
	trimmed := strings.TrimSpace(typed)
	switch f.kind {
	case kindText:
		if typed == `""` {
			return json.RawMessage(`""`), nil
		}
		return json.Marshal(typed)
	case kindInteger:
		if _, ok := new(big.Int).SetString(strings.TrimPrefix(trimmed, "+"), 10); !ok {
			return nil, fmt.Errorf("%q is no whole number", trimmed)
		}
		n, _ := new(big.Int).SetString(strings.TrimPrefix(trimmed, "+"), 10)
		return json.RawMessage(n.String()), nil
	case kindNumber:
		number := strings.TrimPrefix(trimmed, "+")
		if !json.Valid([]byte(number)) || !strings.ContainsAny(number[:1], "-0123456789") {
			return nil, fmt.Errorf("%q is no number, such as 1.5", trimmed)
		}
		return json.RawMessage(number), nil
	case kindBoolean:
		yes, ok := YesNo(trimmed)
		if !ok {
			return nil, fmt.Errorf("%q is neither y nor n", trimmed)
		}
		return json.RawMessage(strconv.FormatBool(yes)), nil
	case kindList:
		return f.list(trimmed)
	case kindObject:
		var o map[string]json.RawMessage
		if err := json.Unmarshal([]byte(trimmed), &o); err != nil || o == nil {
			return nil, fmt.Errorf("want an object as JSON: %s", f.members())
		}
		return json.RawMessage(trimmed), nil
	case kindAny:
		if json.Valid([]byte(trimmed)) {
			return json.RawMessage(trimmed), nil
		}
	}
	return json.Marshal(typed)
}

// choose takes a choice by its value, by its number or by its beginning.
func (f Field) choose(typed string) (json.RawMessage, error) {
	typed = strings.TrimSpace(typed)
	var begin []Choice
	for _, c := range f.Choices {
		if plain(c.Value) == typed || c.Text == typed {
			return c.Value, nil
		}
		if typed != "" && strings.HasPrefix(strings.ToLower(c.Text), strings.ToLower(typed)) {
			begin = append(begin, c)
		}
	}
	if n, err := strconv.Atoi(typed); err == nil && n >= 1 && n <= len(f.Choices) {
		return f.Choices[n-1].Value, nil
	}
	switch {
	case len(begin) == 1:
		return begin[0].Value, nil
	case len(begin) > 1:
		return nil, fmt.Errorf("%q may be %s", typed, enumerated(begin))
	}
	return nil, fmt.Errorf("%q is none of %s", typed, enumerated(f.Choices))
}

// maxNamed bounds how many choices an error names.
const maxNamed = 10

func enumerated(all []Choice) string {
	text := strings.Join(texts(all[:min(len(all), maxNamed)]), ", ")
	if more := len(all) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// list reads JSON, or values with commas between them.
func (f Field) list(typed string) (json.RawMessage, error) {
	if strings.HasPrefix(typed, "[") {
		var all []json.RawMessage
		if err := json.Unmarshal([]byte(typed), &all); err != nil {
			return nil, fmt.Errorf("it begins like a list as JSON, and is none: %w", err)
		}
		return json.RawMessage(typed), nil
	}
	if f.items == nil || f.items.kind == kindObject || f.items.kind == kindList {
		return nil, errors.New(`want a list as JSON, such as ["a", 1]`)
	}
	values := []json.RawMessage{}
	for part := range strings.SplitSeq(typed, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		v, err := f.items.Parse(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return json.Marshal(values)
}

// YesNo reads an answer to a question; ok is false for one that is neither.
func YesNo(typed string) (yes, ok bool) {
	switch strings.ToLower(strings.TrimSpace(typed)) {
	case "y", "yes", "true", "1", "on":
		return true, true
	case "n", "no", "false", "0", "off":
		return false, true
	}
	return false, false
}

// check says what the schema has against a value.
func (f Field) check(value json.RawMessage) error {
	n := f.node
	switch f.kind {
	case kindText:
		return n.checkText(plain(value))
	case kindInteger, kindNumber:
		return n.checkNumber(string(value)) // exactly, where the library has floating-point numbers
	}
	return f.reader.check(n.raw, value)
}

func (n node) checkText(text string) error {
	length := utf8.RuneCountInString(text)
	switch {
	case n.MinLength != nil && length < *n.MinLength:
		return fmt.Errorf("%s: it needs %d at least", characters(length), *n.MinLength)
	case n.MaxLength != nil && length > *n.MaxLength:
		return fmt.Errorf("%s: it may have %d at most", characters(length), *n.MaxLength)
	}
	if re, err := regexp.Compile(n.Pattern); n.Pattern != "" && err == nil && !re.MatchString(text) {
		return fmt.Errorf("%q does not match the pattern %s", text, n.Pattern)
	}
	var err error
	switch n.Format {
	case "date":
		_, err = time.Parse(time.DateOnly, text)
	case "date-time":
		_, err = time.Parse(time.RFC3339, text)
	case "email":
		var a *mail.Address
		if a, err = mail.ParseAddress(text); err == nil && a.Address != text {
			err = errors.New("more than the address")
		}
	case "uri":
		var u *url.URL
		if u, err = url.Parse(text); err == nil && u.Scheme == "" {
			err = errors.New("no scheme")
		}
	}
	if err != nil {
		return fmt.Errorf("%q is no %s", text, formats[n.Format])
	}
	return nil
}

// maxExponent bounds the numbers that are compared exactly: a larger one has as many digits.
const maxExponent = 400

func rational(text string) (*big.Rat, bool) {
	_, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	if e, err := strconv.Atoi(exponent); exponent != "" && (err != nil || e > maxExponent || e < -maxExponent) {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

func characters(n int) string {
	if n == 1 {
		return "1 character"
	}
	return fmt.Sprintf("%d characters", n)
}

func (n node) checkNumber(text string) error {
	v, ok := rational(text)
	if !ok {
		return nil
	}
	for _, bound := range []struct {
		limit json.Number
		wrong func(order int) bool
		text  string
	}{
		{n.Minimum, func(o int) bool { return o < 0 }, "is less than %s"},
		{n.Maximum, func(o int) bool { return o > 0 }, "is more than %s"},
		{n.ExclusiveMinimum, func(o int) bool { return o <= 0 }, "is not more than %s"},
		{n.ExclusiveMaximum, func(o int) bool { return o >= 0 }, "is not less than %s"},
	} {
		limit, ok := rational(bound.limit.String())
		if ok && bound.wrong(v.Cmp(limit)) {
			return fmt.Errorf("%s "+bound.text, text, bound.limit)
		}
	}
	step, ok := rational(n.MultipleOf.String())
	if ok && step.Sign() > 0 && !new(big.Rat).Quo(v, step).IsInt() {
		return fmt.Errorf("%s is no multiple of %s", text, n.MultipleOf)
	}
	return nil
}

// check has the schema's own library look at a value, which knows what a form does not. A schema
// that it does not understand is the callee's to check.
func (r reader) check(part, value json.RawMessage) error {
	var root, schema map[string]json.RawMessage
	if json.Unmarshal(part, &schema) != nil {
		return nil
	}
	if json.Unmarshal(r.root, &root) == nil {
		for _, definitions := range []string{"$defs", "definitions"} {
			if d, ok := root[definitions]; ok {
				schema[definitions] = d
			}
		}
	}
	whole, err := json.Marshal(schema)
	var s jsonschema.Schema
	if err != nil || json.Unmarshal(whole, &s) != nil {
		return nil
	}
	multiples := multipleof.Take(&s)
	resolved, err := s.Resolve(nil)
	var v any
	if err != nil || json.Unmarshal(value, &v) != nil {
		return nil
	}
	err = resolved.Validate(v)
	if err == nil && multiples != nil {
		err = multiples(v)
	}
	if err != nil {
		return errors.New(inShort(err.Error()))
	}
	return nil
}

// inShort is an error of the library without the places in the schema, but for the last one.
func inShort(text string) string {
	where := ""
	for strings.HasPrefix(text, "validating ") {
		place, rest, ok := strings.Cut(strings.TrimPrefix(text, "validating "), ": ")
		if !ok {
			break
		}
		where, text = place, rest
	}
	if at := strings.LastIndex(where, "/properties/"); at >= 0 {
		return where[at+len("/properties/"):] + ": " + text
	}
	return text
}
