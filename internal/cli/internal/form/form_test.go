package form

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
)

// A script is an Asker that has its answers ready, and notes what it was shown.
type script struct {
	lines []string
	shown strings.Builder
}

func (s *script) Title(text string) { s.shown.WriteString("# " + text + "\n") }
func (s *script) Hint(text string)  { s.shown.WriteString("- " + text + "\n") }
func (s *script) Wrong(text string) { s.shown.WriteString("! " + text + "\n") }

func (s *script) Line(_ context.Context, q Question) (string, error) {
	if len(s.lines) == 0 {
		s.shown.WriteString(q.Prompt + "^D\n")
		return "", io.EOF
	}
	line := s.lines[0]
	s.lines = s.lines[1:]
	if q.Secret {
		s.shown.WriteString(q.Prompt + "*\n")
		return line, nil
	}
	s.shown.WriteString(q.Prompt + line + "\n")
	return line, nil
}

func schemaOf(properties string, required ...string) json.RawMessage {
	names, err := json.Marshal(required)
	if err != nil || required == nil {
		names = []byte("[]")
	}
	return json.RawMessage(`{"type":"object","properties":{` + properties + `},"required":` + string(names) +
		`,"$defs":{"color":{"type":"string","enum":["red","green","blue"]},` +
		`"place":{"type":"object","properties":{"city":{"type":"string"},"zip":{"type":"integer"}},` +
		`"required":["city"]},` +
		`"loop":{"type":"object","properties":{"next":{"$ref":"#/$defs/loop"}},"required":["next"]}}}`)
}

// What is typed for a field becomes a value, or an error that says what is wanted.
func TestParse(t *testing.T) {
	tests := []struct{ schema, typed, want, err string }{
		{`{"type":"string"}`, "Bern", `"Bern"`, ""},
		{`{"type":"string"}`, "3", `"3"`, ""},
		{`{"type":"string"}`, `""`, `""`, ""},
		{`{"type":["null","string"]}`, "null", `"null"`, ""},
		{`{"type":"string","minLength":3}`, "é", "", "1 character: it needs 3 at least"},
		{`{"type":"string","maxLength":3}`, "four", "", "4 characters: it may have 3 at most"},
		{`{"type":"string","pattern":"^a+$"}`, "ab", "", `"ab" does not match the pattern ^a+$`},
		{`{"type":"string","format":"date"}`, "2026-12-24", `"2026-12-24"`, ""},
		{`{"type":"string","format":"date"}`, "24.12.", "", `"24.12." is no date, such as 2026-12-31`},
		{`{"type":"string","format":"date-time"}`, "2026-12-24", "", "is no time, such as"},
		{`{"type":"string","format":"email"}`, "ada", "", `"ada" is no mail address`},
		{`{"type":"string","format":"email"}`, "ada@example.org", `"ada@example.org"`, ""},
		{`{"type":"string","format":"uri"}`, "example.org", "", `is no URI`},
		{`{"type":"integer"}`, " +7 ", "7", ""},
		{`{"type":"integer"}`, "9007199254740993", "9007199254740993", ""},
		{`{"type":"integer"}`, "1.5", "", `"1.5" is no whole number`},
		{`{"type":"integer"}`, "seven", "", `"seven" is no whole number`},
		{`{"type":"integer","minimum":1,"maximum":9}`, "0", "", "0 is less than 1"},
		{`{"type":"integer","minimum":1,"maximum":9}`, "10", "", "10 is more than 9"},
		{`{"type":"number","exclusiveMinimum":0}`, "0", "", "0 is not more than 0"},
		{`{"type":"number","exclusiveMaximum":1}`, "1.0", "", "1.0 is not less than 1"},
		{`{"type":"number","multipleOf":0.1}`, "0.3", "0.3", ""},
		{`{"type":"integer","multipleOf":5}`, "7", "", "7 is no multiple of 5"},
		{`{"type":"number"}`, "1e3", "1e3", ""},
		{`{"type":"number"}`, "", "", `"" is no number`},
		{`{"type":"number"}`, "true", "", `"true" is no number`},
		{`{"type":"boolean"}`, "Yes", "true", ""},
		{`{"type":"boolean"}`, "n", "false", ""},
		{`{"type":"boolean"}`, "maybe", "", `"maybe" is neither y nor n`},
		{`{"enum":["a","b"]}`, "b", `"b"`, ""},
		{`{"enum":["a","b"]}`, "2", `"b"`, ""},
		{`{"enum":["a","b"]}`, "3", "", `"3" is none of a, b`},
		{`{"enum":[2,1,null]}`, "1", "1", ""},
		{`{"enum":["apple","apricot","pear"]}`, "p", `"pear"`, ""},
		{`{"enum":["apple","apricot","pear"]}`, "ap", "", `"ap" may be apple, apricot`},
		{`{"enum":["x"],"enumNames":["The X"]}`, "the x", "", `"the x" is none of x (The X)`},
		{`{"oneOf":[{"const":"r","title":"Red"},{"const":"g","title":"Green"}]}`, "g", `"g"`, ""},
		{`{"anyOf":[{"type":"null"},{"type":"integer","minimum":3}]}`, "2", "", "2 is less than 3"},
		{`{"$ref":"#/$defs/color"}`, "green", `"green"`, ""},
		{`{"$ref":"#/$defs/none"}`, "[1]", "[1]", ""},
		{`{"type":"array","items":{"type":"string"}}`, "a, b,", `["a","b"]`, ""},
		{`{"type":"array","items":{"type":"string"}}`, `["a, b"]`, `["a, b"]`, ""},
		{`{"type":"array","items":{"type":"integer"}}`, "1,x", "", `"x" is no whole number`},
		{`{"type":"array","items":{"type":"integer"}}`, `[1,"x"]`, "", "has type"},
		{`{"type":"array","items":{"type":"integer"},"maxItems":1}`, "1,2", "", "maxItems"},
		{`{"type":"array","items":{"type":"object"}}`, "a", "", "want a list as JSON"},
		{`{"type":"array"}`, "[1,", "", "it begins like a list as JSON, and is none"},
		{`{"$ref":"#/$defs/place"}`, "Bern", "", `want an object as JSON: {"city", "zip"?}`},
		{`{"$ref":"#/$defs/place"}`, `{"zip":3000}`, "", "city"},
		{`{"$ref":"#/$defs/place"}`, `{"city":"Bern"}`, `{"city":"Bern"}`, ""},
		{`{}`, "text", `"text"`, ""},
		{`true`, "3", "3", ""},
		{`{"type":["string","integer"]}`, "3", "3", ""},
		{`{"type":7}`, "x", `"x"`, ""},
	}
	for _, tt := range tests {
		f := reader{schemaOf("")}.field(json.RawMessage(tt.schema))
		got, err := f.Parse(tt.typed)
		switch {
		case tt.err != "":
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s, %q: error %v, want one with %q", tt.schema, tt.typed, err, tt.err)
			}
		case err != nil || string(got) != tt.want:
			t.Errorf("%s, %q: %s, %v, want %s", tt.schema, tt.typed, got, err, tt.want)
		}
	}
}

// A form asks for what is missing, the required fields first, says at once what is wrong, and
// leaves alone what is there.
func TestInput(t *testing.T) {
	tests := map[string]struct {
		schema     json.RawMessage
		input      string
		every      bool
		lines      []string
		want, show string
	}{
		"nothing is missing": {schemaOf(`"a":{"type":"string"},"b":{}`, "a"), `{"a":"x"}`, false, nil, `{"a":"x"}`, ""},
		"no schema":          {nil, `{"a":1}`, true, nil, `{"a":1}`, ""},
		"a required one": {schemaOf(`"days":{"type":"integer"},`+
			`"city":{"type":"string","description":"which city\nor village"}`, "city"), `{}`, false,
			[]string{"", "Bern", ""}, `{"city":"Bern"}`,
			"# t\n- which city\ncity: \n! city is required; \"\" is an empty text\ncity: Bern\nalso days? [y/N] \n"},
		"an optional one": {schemaOf(`"days":{"type":"integer","maximum":9},"city":{"type":"string"}`, "city"), `{}`,
			false, []string{"Bern", "y", "10", "3"}, `{"city":"Bern","days":3}`,
			"# t\ncity: Bern\nalso days? [y/N] y\n- optional: an empty line leaves one out\n" +
				"- whole number, at most 9\ndays: 10\n! 10 is more than 9\ndays: 3\n"},
		"every one": {schemaOf(`"n":{"type":"integer","default":4},"b":{"type":"boolean","default":true}`), `{}`, true,
			[]string{"", "n"}, `{"b":false}`,
			"# t\n- optional: an empty line leaves one out\n- whole number\nn [4]: \nb [Y/n]: n\n"},
		"a default of a required one": {schemaOf(`"n":{"type":"integer","default":4}`, "n"), `{}`, false, []string{""},
			`{"n":4}`, "# t\n- whole number\nn [4]: \n"},
		"a constant": {schemaOf(`"v":{"const":2},"a":{"type":"string"}`, "v", "a"), `{}`, false, []string{"x"},
			`{"a":"x","v":2}`, "# t\na: x\n"},
		"choices": {schemaOf(`"c":{"$ref":"#/$defs/color","description":"which"}`, "c"), `{}`, false, []string{"1"},
			`{"c":"red"}`, "# t\n- which\n- 1) red  2) green  3) blue\nc: 1\n"},
		"an object by its members": {schemaOf(`"at":{"$ref":"#/$defs/place"}`, "at"), `{"at":{"zip":1}}`, false,
			[]string{"Bern"}, `{"at":{"city":"Bern","zip":1}}`, "# t\nat.city: Bern\n"},
		"an optional object": {schemaOf(`"at":{"$ref":"#/$defs/place"}`), `{}`, true, []string{`{"city":"Bern"}`},
			`{"at":{"city":"Bern"}}`, "# t\n- optional: an empty line leaves one out\n" +
				"- object, as JSON: {\"city\", \"zip\"?}\nat: {\"city\":\"Bern\"}\n"},
		"an object in itself": {schemaOf(`"l":{"$ref":"#/$defs/loop"}`, "l"), `{}`, false,
			[]string{"{}", `{"next":{}}`}, "",
			"# t\n- object, as JSON: {\"next\"}\nl.next.next.next: {}\n"},
		"a secret": {schemaOf(`"p":{"type":"string","format":"password","default":"x"}`, "p"), `{}`, false,
			[]string{"y"}, `{"p":"y"}`, "# t\np: *\n"},
		"a prompt": {OfPrompt([]agent.PromptArgument{{Name: "b", Description: "tone"}, {Name: "a", Required: true}}),
			`{}`, false, []string{"3", "y", "z"}, `{"a":"3","b":"z"}`,
			"# t\na: 3\nalso b? [y/N] y\n- optional: an empty line leaves one out\n- tone\nb: z\n"},
		"left": {schemaOf(`"a":{},"b":{}`, "a", "b"), `{}`, false, []string{"x"}, "left",
			"# t\n- JSON, or a text\na: x\n- JSON, or a text\nb: ^D\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := &script{lines: tt.lines}
			got, asked, err := Input(t.Context(), s, "t", tt.schema, json.RawMessage(tt.input), tt.every)
			if !strings.HasPrefix(s.shown.String(), tt.show) || asked != (tt.show != "") {
				t.Errorf("shown:\n%s\nwant:\n%s", &s.shown, tt.show)
			}
			switch {
			case tt.want == "left":
				if !errors.Is(err, io.EOF) {
					t.Errorf("%s, %v", got, err)
				}
			case tt.want != "" && (err != nil || string(got) != tt.want):
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}

// Flags answer a question, or say what is missing.
func TestAnswers(t *testing.T) {
	schema := schemaOf(`"name":{"type":"string"},"sure":{"type":"boolean"},"n":{"type":"integer","default":2},"x":{}`,
		"name", "sure", "n")
	tests := []struct {
		args []string
		yes  bool
		want string
		done bool
		open string
	}{
		{nil, false, `{}`, false, "name, sure, n, x"},
		{nil, true, `{"n":2,"sure":true}`, false, "name, x"},
		{[]string{"name=Ada"}, true, `{"n":2,"name":"Ada","sure":true}`, true, "x"},
		{[]string{"name=Ada", "sure=n", "n=7"}, false, `{"n":7,"name":"Ada","sure":false}`, true, "x"},
		{[]string{"other=1"}, false, `{}`, false, "name, sure, n, x"},
	}
	for _, tt := range tests {
		a, err := ReadAnswers(tt.args, tt.yes)
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.Fill(Fields(schema))
		if err != nil || string(got.Content) != tt.want || got.Answered != tt.done || Names(got.Open) != tt.open {
			t.Errorf("%q, %v: %s, %v, open %s, %v", tt.args, tt.yes, got.Content, got.Answered, Names(got.Open), err)
		}
	}
	if got, err := (Answers{Yes: true}).Fill(nil); err != nil || !got.Answered {
		t.Errorf("a question without fields: %+v, %v", got, err)
	}
	a, err := ReadAnswers([]string{"n=x"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Fill(Fields(schema)); err == nil || err.Error() != `n=x: "x" is no whole number` {
		t.Error(err)
	}
	for _, args := range [][]string{{"x"}, {"=x"}, {"a=1", "a=2"}} {
		if _, err := ReadAnswers(args, false); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

// The command line of an input gives the input again.
func TestCommand(t *testing.T) {
	fields := Fields(schemaOf(`"p":{"type":"string","writeOnly":true}`))
	for input, want := range map[string]string{
		`{"a":"x","b":3,"c":true}`: `a=x b=3 c=true`,
		`{"a":"3"}`:                `'a="3"'`,
		`{"a":"it's"}`:             `'a=it'\''s'`,
		`{"o":{"x":[1]}}`:          `'o={"x":[1]}'`,
		`{"p":"secret"}`:           `'p=…'`,
		`{}`:                       ``,
	} {
		if got := Command(fields, json.RawMessage(input)); got != want {
			t.Errorf("%s: %s, want %s", input, got, want)
		}
	}
}

// A stranger's schema neither hangs nor panics.
func FuzzFields(f *testing.F) {
	f.Add(`{"properties":{"a":{"$ref":"#"}},"required":["a"]}`, "x")
	f.Add(`{"properties":{"a":{"anyOf":[{"$ref":"#/properties/a"}]}},"required":["a"]}`, "{}")
	f.Add(`{"properties":[1]}`, "1")
	f.Add(`{"properties":{"a":{"type":"number","minimum":1e999999999}}}`, "1e999999999")
	f.Fuzz(func(_ *testing.T, schema, typed string) {
		for _, field := range Fields(json.RawMessage(schema)) {
			_ = field.Hint()
			_, _ = field.Parse(typed) // it is one or the other
		}
	})
}
