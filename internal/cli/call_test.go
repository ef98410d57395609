package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
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
		"too much on stdin": {[]string{"-"}, strings.Repeat(" ", maxInput+1), "", "standard input is over 16777216 " +
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
			got, err := arguments(tt.args, strings.NewReader(tt.in))
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
		got, err := arguments([]string{"k=" + value}, nil)
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

func TestShowResult(t *testing.T) {
	structured, err := agent.JSONResult(map[string]any{"a": []int{1}, "b": "x"})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		res  *agent.Result
		json bool
		want string
	}{
		"text":       {agent.TextResult("hello\n\n"), false, "hello\n"},
		"texts":      {&agent.Result{Content: []agent.Content{agent.Text("a"), agent.Text("b")}}, false, "a\nb\n"},
		"structured": {structured, false, "{\n  \"a\": [\n    1\n  ],\n  \"b\": \"x\"\n}\n"},
		"both the same": {&agent.Result{Structured: structured.Structured,
			Content: []agent.Content{agent.Text(string(structured.Structured))}}, false,
			"{\n  \"a\": [\n    1\n  ],\n  \"b\": \"x\"\n}\n"},
		"both, different": {&agent.Result{Structured: json.RawMessage(`{"n":1}`),
			Content: []agent.Content{agent.Text("one")}}, false, "one\n"},
		"nothing": {&agent.Result{}, false, ""},
		"an image": {&agent.Result{Content: []agent.Content{agent.Image(make([]byte, 7), "image/png")}}, false,
			"[image image/png 7 bytes: --json shows it]\n"},
		"a link": {&agent.Result{Content: []agent.Content{agent.Link("file:///x", "x")}}, false,
			"[resource_link file:///x 0 bytes: --json shows it]\n"},
		"a resource": {&agent.Result{Content: []agent.Content{agent.Embed(agent.ResourceContents{URI: "a://b",
			Text: "inside"})}}, false, "inside\n"},
		"whole": {agent.TextResult("a"), true, "{\n  \"content\": [\n    {\n      \"type\": \"text\",\n      " +
			"\"text\": \"a\"\n    }\n  ]\n}\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			f := format{json: tt.json}
			err := f.print(&b, tt.res, func(w io.Writer) error { return showResult(w, tt.res) })
			if err != nil || b.String() != tt.want {
				t.Errorf("got %q, %v, want %q", b.String(), err, tt.want)
			}
		})
	}
}

// A call over --url has a span of its own, where the environment says where spans go. That nobody
// is there is a warning, and the call is as good as without.
func TestCallIsTraced(t *testing.T) {
	s := serve(t, projectFile(t, crew))
	exports := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		exports <- r.URL.Path + string(body)
	}))
	defer receiver.Close()
	call := func(endpoint string) result {
		return runWith(t.Context(), "", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + endpoint}, "call", "greeter.greet",
			"name=Ada", "--url", s.url)
	}
	if r := call(receiver.URL); r.code != exitOK || strings.Contains(r.err, "export") {
		t.Errorf("%+v", r)
	}
	if got := <-exports; !strings.HasPrefix(got, "/v1/traces") || !strings.Contains(got, "tools/call greeter.greet") {
		t.Errorf("the receiver got %q", got)
	}
	receiver.Close()
	if r := call(receiver.URL); r.code != exitOK || !strings.Contains(r.err, "spans were not exported") {
		t.Errorf("%+v", r)
	}
}

// An error that came when the timeout was over names it, and no other does.
func TestTimedOut(t *testing.T) {
	over := errors.New("over after 1ms (--timeout)")
	stopping := agent.Errorf(agent.CodeUnavailable, "the system is stopping")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 0, over)
	defer cancel()
	err := timedOut(ctx, stopping)
	if !errors.Is(err, over) || !errors.Is(err, stopping) || timedOut(ctx, err) != err {
		t.Errorf("%v, and again %v", err, timedOut(ctx, err))
	}
	ctx, cancel = context.WithCancel(t.Context())
	if err := timedOut(ctx, stopping); err != error(stopping) {
		t.Error(err)
	}
	cancel() // by a signal
	if err := timedOut(ctx, stopping); err != error(stopping) {
		t.Error(err)
	}
}

// What only says that it was too late says whose time it was.
func TestLate(t *testing.T) {
	over := errors.New("over after 1s (--timeout)")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 0, over)
	defer cancel()
	for _, bare := range []string{"context deadline exceeded", "not done before the deadline of its caller"} {
		e := &agent.Error{Code: agent.CodeDeadlineExceeded, Message: bare}
		got := timedOut(ctx, named("far.slow", e))
		if want := "far.slow: deadline_exceeded: not done in time, over after 1s (--timeout)"; got.Error() != want ||
			!errors.Is(got, over) || agent.CodeOf(got) != agent.CodeDeadlineExceeded {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

// A number for a text, on the command line.
func TestAsText(t *testing.T) {
	wrong := agent.Errorf(agent.CodeInvalidArgument, `invalid input: city: type: 1 has type "integer", want "string"`)
	if got := asText([]string{"days=1", "city=1"}, wrong).Error(); !strings.HasSuffix(got,
		"\ncity=1 is taken as JSON; as text it is city='\"1\"'") {
		t.Error(got)
	}
	for _, args := range [][]string{nil, {`{"city":1}`}, {"days=1"}, {"city=Bern"}, {`city="1"`}} {
		if got := asText(args, wrong); got != error(wrong) {
			t.Errorf("%q: %v", args, got)
		}
	}
}

// A tool that says why it failed in structured content only is not one that says nothing.
func TestNamedDetails(t *testing.T) {
	for want, e := range map[string]*agent.Error{
		`a.b: tool_failed: {"why":"rain"}`: {Code: agent.CodeToolFailed, Details: json.RawMessage(`{"why":"rain"}`)},
		`a.b: tool_failed: no`:             {Code: agent.CodeToolFailed, Message: "a.b: no", Details: json.RawMessage(`{"n":1}`)},
		"a.b: tool_failed: \"\\u009b2J\"":  {Code: agent.CodeToolFailed, Details: json.RawMessage("\"\u009b2J\"")},
		`a.b: tool_failed`:                 {Code: agent.CodeToolFailed},
	} {
		if got := named("a.b", e).Error(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
