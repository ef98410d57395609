package form

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
)

func TestArguments(t *testing.T) {
	tests := map[string]struct {
		args      []string
		in        string
		want, err string // one of them
	}{
		"none":             {nil, "", `{}`, ""},
		"an object":        {[]string{`{"a": [1, 2]}`}, "", `{"a": [1, 2]}`, ""},
		"white space":      {[]string{"  {\"a\":1}\n"}, "", `{"a":1}`, ""},
		"a text":           {[]string{"city=Bern"}, "", `{"city":"Bern"}`, ""},
		"several":          {[]string{"a=x", "b=y"}, "", `{"a":"x","b":"y"}`, ""},
		"a number":         {[]string{"n=3"}, "", `{"n":3}`, ""},
		"a boolean":        {[]string{"b=true"}, "", `{"b":true}`, ""},
		"null":             {[]string{"b=null"}, "", `{"b":null}`, ""},
		"a list":           {[]string{`l=[1,"x"]`}, "", `{"l":[1,"x"]}`, ""},
		"a number as text": {[]string{`n="3"`}, "", `{"n":"3"}`, ""},
		"not quite a list": {[]string{"l=[1,"}, "", `{"l":"[1,"}`, ""},
		"empty":            {[]string{"a="}, "", `{"a":""}`, ""},
		"an equals sign":   {[]string{"q=a=b"}, "", `{"q":"a=b"}`, ""},
		"quotes":           {[]string{`q=say "hi" \ bye`}, "", `{"q":"say \"hi\" \\ bye"}`, ""},
		"from stdin":       {[]string{"-"}, " {\"a\": 1}\n", `{"a": 1}`, ""},
		"nothing on stdin": {[]string{"-"}, "", "", "not a JSON object"},
		"a list on stdin":  {[]string{"-"}, "[1]", "", "not a JSON object"},
		"null on stdin":    {[]string{"-"}, "null", "", "not a JSON object"},
		"too much on stdin": {[]string{"-"}, strings.Repeat(" ", MaxInput+1), "", "standard input is over 16777216 " +
			"bytes"},
		"broken JSON":        {[]string{`{"a":`}, "", "", "not a JSON object"},
		"two documents":      {[]string{`{} {}`}, "", "", "not a JSON object"},
		"no equals sign":     {[]string{"city"}, "", "", `"city" is neither key=value nor a JSON object`},
		"no key":             {[]string{"=x"}, "", "", `"=x" is neither`},
		"a key twice":        {[]string{"a=1", "a=2"}, "", "", `"a" is given twice`},
		"an object and more": {[]string{"a=1", `{"b":2}`}, "", "", "is neither key=value"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Arguments(tt.args, strings.NewReader(tt.in))
			switch {
			case tt.err != "":
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want one with %q", err, tt.err)
				}
			case err != nil:
				t.Error(err)
			case string(got) != tt.want:
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// Whatever stands behind key= comes out as JSON that means the same text, or the same JSON.
func FuzzArguments(f *testing.F) {
	for _, s := range []string{"", "Bern", "3", "1e999", `"`, "[", "{}", "\x00\xff", "a=b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got, err := Arguments([]string{"k=" + value}, nil)
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal(got, &m); err != nil || len(m) != 1 {
			t.Fatalf("%q became %s: %v", value, got, err)
		}
		var text string
		if json.Valid([]byte(value)) {
			var compact, same bytes.Buffer
			if json.Compact(&compact, []byte(value)) != nil || json.Compact(&same, m["k"]) != nil {
				t.Fatalf("%q became %s", value, got)
			}
			return
		}
		if err := json.Unmarshal(m["k"], &text); err != nil || text != strings.ToValidUTF8(value, "\ufffd") &&
			text != toRunes(value) {
			t.Fatalf("%q became %q: %v", value, text, err)
		}
	})
}

// toRunes replaces each invalid byte, as encoding/json does.
func toRunes(s string) string { return string([]rune(s)) }

// A number for a text, on the command line.
func TestAsText(t *testing.T) {
	wrong := agent.Errorf(agent.CodeInvalidArgument, `invalid input: city: type: 1 has type "integer", want "string"`)
	if got := AsText([]string{"days=1", "city=1"}, wrong).Error(); !strings.HasSuffix(got,
		"\ncity=1 is taken as JSON; as text it is city='\"1\"'") {
		t.Error(got)
	}
	for _, args := range [][]string{nil, {`{"city":1}`}, {"days=1"}, {"city=Bern"}, {`city="1"`}} {
		if got := AsText(args, wrong); got != error(wrong) {
			t.Errorf("%q: %v", args, got)
		}
	}
}
