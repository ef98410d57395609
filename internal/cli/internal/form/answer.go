package form

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Answers answer a question without asking anybody.
type Answers struct {
	// Given are texts for fields, by name.
	Given map[string]string
	// Yes accepts: a field that is yes or no is yes, others have their defaults.
	Yes bool
}

// ReadAnswers reads the arguments of a repeatable flag, each name=value.
func ReadAnswers(args []string, yes bool) (Answers, error) {
	a := Answers{Given: map[string]string{}, Yes: yes}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return a, fmt.Errorf("%q: want name=value", arg)
		}
		if _, dup := a.Given[name]; dup {
			return a, fmt.Errorf("%q is given twice", name)
		}
		a.Given[name] = value
	}
	return a, nil
}

// A Filled form is what could be answered of one.
type Filled struct {
	Content json.RawMessage // an object
	// Open are the fields without an answer.
	Open []Field
	// Answered reports whether nobody needs to be asked: what is required is there, and somebody
	// has said something about this question.
	Answered bool
}

// Fill answers the fields of a question.
func (a Answers) Fill(fields []Field) (Filled, error) {
	out := Filled{Content: json.RawMessage("{}"), Answered: a.Yes}
	for _, f := range fields {
		text, given := a.Given[f.Name()]
		var value json.RawMessage
		switch {
		case given:
			v, err := f.Parse(text)
			if err != nil {
				return out, fmt.Errorf("%s=%s: %w", f.Name(), text, err)
			}
			value, out.Answered = v, true
		case a.Yes && f.kind == kindBoolean:
			value = json.RawMessage("true")
		case a.Yes && f.Required && len(f.Default) > 0:
			value = f.Default
		default:
			out.Open = append(out.Open, f)
			continue
		}
		var err error
		if out.Content, err = Set(out.Content, f.Path, value); err != nil {
			return out, err
		}
	}
	if slices.ContainsFunc(out.Open, func(f Field) bool { return f.Required }) {
		out.Answered = false
	}
	return out, nil
}

// Confirm asks a question that is answered with y or n. An empty line is otherwise.
func Confirm(ctx context.Context, a Asker, question string, otherwise bool) (bool, error) {
	mark := " [y/N] "
	if otherwise {
		mark = " [Y/n] "
	}
	for {
		typed, err := a.Line(ctx, Question{Prompt: question + mark})
		if err != nil {
			return false, err
		}
		if strings.TrimSpace(typed) == "" {
			return otherwise, nil
		}
		yes, ok := YesNo(typed)
		if ok {
			return yes, nil
		}
		a.Wrong(fmt.Sprintf("%q is neither y nor n", typed))
	}
}

// Input asks for the arguments of a call that are missing in its input: all that are required, and
// the others if somebody wants to give them; all, without that question, with every. It returns the
// input with them, and whether anything was asked.
func Input(ctx context.Context, a Asker, title string, schema, input json.RawMessage, every bool) (json.RawMessage,
	bool, error) {
	fields := Fields(schema)
	missing, open := Missing(fields, input), Absent(fields, input)
	if len(missing) == 0 && !every || len(open) == 0 {
		return input, false, nil
	}
	a.Title(title)
	filled, err := Fill(ctx, a, missing, input)
	if err != nil {
		return nil, true, err
	}
	open = Absent(fields, filled)
	if len(open) > 0 && !every {
		if every, err = Confirm(ctx, a, "also "+Names(open)+"?", false); err != nil {
			return nil, true, err
		}
	}
	if every && len(open) > 0 {
		a.Hint("optional: an empty line leaves one out")
		if filled, err = Fill(ctx, a, open, filled); err != nil {
			return nil, true, err
		}
	}
	return filled, true, nil
}

// Command is the input of a call as arguments of a command line, for a shell. What is secret is
// left out.
func Command(fields []Field, input json.RawMessage) string {
	var all members
	if json.Unmarshal(input, &all) != nil {
		return ""
	}
	var out []string
	for _, m := range all {
		secret := slices.ContainsFunc(fields, func(f Field) bool { return f.Secret && f.Path[0] == m.name })
		text := plain(m.raw)
		switch {
		case secret:
			text = "…"
		case text != string(m.raw) && json.Valid([]byte(text)):
			text = string(m.raw) // a text that looks like JSON
		}
		out = append(out, quoted(m.name+"="+text))
	}
	return strings.Join(out, " ")
}

// quoted is a word as a shell reads it.
func quoted(word string) string {
	if !strings.ContainsFunc(word, func(r rune) bool {
		return !strings.ContainsRune("=_-./:,@%+", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') &&
			(r < 'A' || r > 'Z')
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Accepts reports whether --yes answers the field.
func (f Field) Accepts() bool { return f.kind == kindBoolean || len(f.Default) > 0 }
