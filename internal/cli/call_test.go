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
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
)

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
	over := &overtimeError{time.Millisecond}
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
	over := &overtimeError{time.Second}
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

// Without a terminal flags answer what a tool asks. What they do not answer is declined, with the
// flags that would.
func TestCallAnswers(t *testing.T) {
	path := projectFile(t, shop)
	for _, tt := range []struct {
		args     []string
		code     int
		out, err string
	}{
		{[]string{"clerk.seat"}, exitFailed, "", "openmas: clerk.seat asks: Which seat?\nopenmas: declined: there " +
			"is no terminal to ask at; --answer row=… --answer place=… answers\n"},
		{[]string{"clerk.seat", "--yes"}, exitFailed, "", "permission_denied: the user declined"},
		{[]string{"clerk.seat", "--answer", "row=x"}, exitFailed, "",
			`declined: --answer row=x: "x" is no whole number`},
		{[]string{"clerk.seat", "--answer", "row=1", "--answer", "place=A"}, exitOK, `"place": "A"`, ""},
		{[]string{"clerk.delete"}, exitFailed, "", "--answer sure=… answers, and --yes accepts"},
		{[]string{"clerk.delete", "--yes"}, exitOK, `"sure": true`, ""},
		{[]string{"clerk.delete", "--answer", "sure=n"}, exitOK, `"sure": false`, ""},
		{[]string{"clerk.seat", "--answer", "row"}, exitUsage, "", `--answer "row": want name=value`},
		{[]string{"clerk.think"}, exitFailed, "",
			"asks for a model's answer; declined: openmas call has no model; --model"},
		{[]string{"clerk.think", "--model", "m"}, exitUsage, "", "--model-url or OPENMAS_MODEL_URL names an endpoint"},
		{[]string{"clerk.count", "n=3"}, exitOK, "counted\n",
			"INFO clerk \"two is even\"\n"},
	} {
		r := run(t, "", append([]string{"call", "-p", path}, tt.args...)...)
		if r.code != tt.code || !strings.Contains(r.out, tt.out) || tt.out == "" && r.out != "" ||
			!strings.Contains(r.err, tt.err) {
			t.Errorf("%q: %+v", tt.args, r)
		}
	}
}

// Where there is no bar, the steps of a call that is quick are not shown, those of a slow one now
// and then, and how far one has come that fails.
func TestStepsWithoutABar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		q := &asking{out: &out, stepped: time.Now()}
		for n := range 12 {
			q.progress(agent.ProgressNotice{Progress: float64(n), Total: 12, Message: "reading"})
			time.Sleep(time.Second)
		}
		q.cameTo()
		if got, want := out.String(), "5/12 reading\n10/12 reading\n11/12 reading\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// A model that is configured answers what a tool samples. Its key is shown nowhere.
func TestCallSamples(t *testing.T) {
	asked := make(chan string, 1)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked <- r.URL.Path + " " + r.Header.Get("Authorization") + " " + string(body)
		if r.Header.Get("Authorization") != "Bearer k3y" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":{"message":"Incorrect API key: wr0ng"}}`)
			return
		}
		_, _ = io.WriteString(w, `{"model":"m-1","choices":[{"message":{"content":"because"},"finish_reason":"stop"}]}`)
	}))
	defer endpoint.Close()
	path := projectFile(t, shop)
	args := []string{"call", "clerk.think", "-p", path, "--model", "m"}
	r := runWith(t.Context(), "", []string{"OPENMAS_MODEL_URL=" + endpoint.URL + "/v1", "OPENMAS_MODEL_KEY=k3y"},
		args...)
	if r.code != exitOK || r.out != "because\n" || strings.Contains(r.err, "k3y") ||
		!strings.Contains(r.err, "clerk.think asks the model m (1 message") {
		t.Errorf("%+v", r)
	}
	want := `/v1/chat/completions Bearer k3y {"model":"m","messages":[{"role":"system","content":"be short"},` +
		`{"role":"user","content":"why?"}],"max_tokens":5}`
	if got := <-asked; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	r = runWith(t.Context(), "", []string{"OPENMAS_MODEL_KEY=wr0ng"}, append(args, "--model-url", endpoint.URL)...)
	if r.code != exitFailed || strings.Contains(r.err, "wr0ng") ||
		!strings.Contains(r.err, "unavailable: the model m: 401 Unauthorized: Incorrect API key: …") {
		t.Errorf("%+v", r)
	}
	<-asked
}

// The same command fills in prompts and reads resources: of a project that it starts, of one that
// runs, and over --url.
func TestCallPromptsAndResources(t *testing.T) {
	path := projectFile(t, shop)
	check := func(flags ...string) {
		t.Helper()
		for _, tt := range []struct {
			args      []string
			code      int
			out, fail string
		}{
			{[]string{"--prompt", "clerk.letter", "who=3"}, exitOK, "Dear 3,\n", ""},
			{[]string{"--prompt", "clerk_letter", `{"who":"Ada"}`}, exitOK, "Dear Ada,\n", ""},
			{[]string{"--prompt", "clerk.letter"}, exitFailed, "", `argument "who" is missing`},
			{[]string{"--prompt", "clerk.letter", `{"who":3}`}, exitUsage, "",
				"who: the arguments of a prompt are texts, and 3 is none"},
			{[]string{"--prompt", "clerk.lettre", "who=x"}, exitFailed, "", "not_found"},
			{[]string{"clerk://hours"}, exitOK, "9 to 5\n", ""},
			{[]string{"--resource", "clerk://hours"}, exitOK, "9 to 5\n", ""},
			{[]string{"clerk://orders/7"}, exitOK, "7", ""},
			{[]string{"clerk://orders/0"}, exitFailed, "", "not_found"},
			{[]string{"clerk://none"}, exitFailed, "", "not_found"},
			{[]string{"clerk://hours", "a=1"}, exitUsage, "", "a resource is read without arguments"},
			{[]string{"--prompt", "--resource", "x.y"}, exitUsage, "", "one of them"},
		} {
			r := run(t, "", append(append([]string{"call"}, tt.args...), flags...)...)
			if r.code != tt.code || r.out != tt.out || !strings.Contains(r.err, tt.fail) {
				t.Errorf("%q, %q: %+v", flags, tt.args, r)
			}
		}
	}
	check("-p", path)
	s := serve(t, path)
	check("-p", path)
	check("--url", s.url)
	var out bytes.Buffer
	res := &agent.Result{Structured: json.RawMessage(`{"messages":[` +
		`{"role":"user","content":{"type":"text","text":"hi"}},` +
		`{"role":"assistant","content":{"type":"text","text":"ho"}}]}`)}
	if err := show(&out, agent.OpPrompt, res); err != nil || out.String() != "user:\nhi\nassistant:\nho\n" {
		t.Errorf("%q, %v", &out, err)
	}
}
