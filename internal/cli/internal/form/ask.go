package form

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// An Asker is whoever fills in a form. Its texts are a stranger's: it writes out what steers a
// terminal.
type Asker interface {
	// Title shows what follows is about.
	Title(text string)
	// Hint shows a line above a question.
	Hint(text string)
	// Wrong shows a line that says what was wrong with an answer.
	Wrong(text string)
	// Line asks for a line. An error ends the form.
	Line(ctx context.Context, q Question) (string, error)
}

// A Question asks for one line.
type Question struct {
	// Prompt stands before what is typed.
	Prompt string
	// Secret: what is typed is not to be seen.
	Secret bool
	// Words are what can be typed, as far as it is known.
	Words []string
}

// Missing are the fields that are required and not in the input, which is an object.
func Missing(fields []Field, input json.RawMessage) []Field {
	return slices.DeleteFunc(Absent(fields, input), func(f Field) bool { return !f.Required })
}

// Absent are the fields that are not in the input.
func Absent(fields []Field, input json.RawMessage) []Field {
	return slices.DeleteFunc(slices.Clone(fields), func(f Field) bool { return has(input, f.Path) })
}

func has(input json.RawMessage, path []string) bool {
	var o map[string]json.RawMessage
	if json.Unmarshal(input, &o) != nil {
		return len(input) > 0 // something that is no object has no room for members
	}
	value, ok := o[path[0]]
	if !ok || len(path) == 1 {
		return ok
	}
	return has(value, path[1:])
}

// Set is the input with a value at a path.
func Set(input json.RawMessage, path []string, value json.RawMessage) (json.RawMessage, error) {
	if len(path) == 0 {
		return value, nil
	}
	o := map[string]json.RawMessage{}
	if len(input) > 0 {
		if err := json.Unmarshal(input, &o); err != nil {
			return nil, fmt.Errorf("%s: %w", path[0], err)
		}
	}
	inner, err := Set(o[path[0]], path[1:], value)
	if err != nil {
		return nil, err
	}
	o[path[0]] = inner
	return json.Marshal(o)
}

// Fill asks for fields, one after the other, and returns the input with their values. A field that
// is not required may be left out with an empty line.
func Fill(ctx context.Context, a Asker, fields []Field, input json.RawMessage) (json.RawMessage, error) {
	for _, f := range fields {
		value, err := f.ask(ctx, a)
		if err != nil {
			return nil, err
		}
		if value == nil {
			continue
		}
		if input, err = Set(input, f.Path, value); err != nil {
			return nil, err
		}
	}
	return input, nil
}

// maxNumbered is how many choices are shown with numbers.
const maxNumbered = 20

// ask asks for one field until the answer is right; nil: it is left out.
func (f Field) ask(ctx context.Context, a Asker) (json.RawMessage, error) {
	if len(f.node.Const) > 0 {
		if f.Required {
			return f.node.Const, nil
		}
		return nil, nil
	}
	if hint := f.Hint(); hint != "" {
		a.Hint(hint)
	}
	if f.Choices != nil {
		a.Hint(f.numbered())
	}
	for {
		typed, err := a.Line(ctx, f.question())
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(typed) == "" {
			switch {
			case !f.Required:
				return nil, nil
			case len(f.Default) > 0:
				return f.Default, nil
			case f.kind == kindText && f.Choices == nil:
				a.Wrong(f.Name() + ` is required; "" is an empty text`)
			default:
				a.Wrong(f.Name() + " is required")
			}
			continue
		}
		value, err := f.Parse(typed)
		if err == nil {
			return value, nil
		}
		a.Wrong(err.Error())
	}
}

func (f Field) question() Question {
	q := Question{Prompt: f.Name(), Secret: f.Secret}
	switch {
	case f.kind == kindBoolean && plain(f.Default) == "true":
		q.Prompt += " [Y/n]"
	case f.kind == kindBoolean && plain(f.Default) == "false":
		q.Prompt += " [y/N]"
	case f.kind == kindBoolean:
		q.Prompt += " [y/n]"
	case len(f.Default) > 0 && !f.Secret:
		q.Prompt += " [" + plain(f.Default) + "]"
	}
	q.Prompt += ": "
	for _, c := range f.Choices {
		q.Words = append(q.Words, plain(c.Value))
	}
	return q
}

// numbered is a line with the choices.
func (f Field) numbered() string {
	var parts []string
	for i, c := range f.Choices[:min(len(f.Choices), maxNumbered)] {
		parts = append(parts, fmt.Sprintf("%d) %s", i+1, c.Text))
	}
	text := strings.Join(parts, "  ")
	if more := len(f.Choices) - maxNumbered; more > 0 {
		text += fmt.Sprintf("  and %d more: Tab completes", more)
	}
	return text
}

// Names are the names of fields, in a line.
func Names(fields []Field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name()
	}
	return strings.Join(names, ", ")
}
