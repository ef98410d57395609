package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
	"github.com/openmas/openmas/internal/testkit"
)

const key = "sk-1234567890"

const (
	stop = `data: {"choices":[{"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	done = "data: [DONE]\n\n"
)

func delta(text string) string { return `data: {"choices":[{"delta":` + text + "}]}\n\n" }

func words(text string) string { return delta(fmt.Sprintf(`{"content":%q}`, text)) }

func call(index int, name, arguments string) string {
	return delta(fmt.Sprintf(`{"tool_calls":[{"index":%d,"function":{"name":%q,"arguments":%q}}]}`, index, name,
		arguments))
}

// stream is a server that sends a text as a stream.
func stream(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_, _ = io.WriteString(w, text)
	})
}

// ask asks an assistant whose model is a server.
func ask(t *testing.T, h http.Handler, opts ...agenttest.Option) (string, error) {
	t.Helper()
	a := with(t, h)
	a.Model.Key = key
	sys := agenttest.Run(t, agenttest.Agents{"assistant": a, "notes": notes()}, opts...)
	return agent.Ask[string](sys.Ctx(), "assistant.ask", Question{"How are you?"})
}

// Servers differ in what they send around the chunks.
func TestStreams(t *testing.T) {
	const usage = `data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}` + "\n\n"
	well, crlf := words("I am well."), strings.NewReplacer("\n", "\r\n")
	for name, text := range map[string]string{
		"as most":           words("I am ") + words("well.") + stop + done,
		"comments":          ": waiting\n\n" + well + ": still\n" + stop + done,
		"fields and CRLF":   "event: x\r\nid: 1\r\n" + crlf.Replace(well) + stop + done,
		"without a space":   strings.ReplaceAll(well+stop+done, "data: ", "data:"),
		"without [DONE]":    well + stop,
		"without a reason":  well + done,
		"null":              delta(`{"content":null,"tool_calls":null}`) + well + stop + done,
		"usage":             well + stop + usage + done,
		"more after [DONE]": well + stop + done + words("No."),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ask(t, stream(text)); err != nil || got != "I am well." {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// What is broken, too large or no answer is an error that says so.
func TestBrokenServers(t *testing.T) {
	refuse := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://elsewhere.invalid/")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
	}
	because := func(reason string) http.Handler {
		return stream(words("I") + strings.Replace(stop, "stop", reason, 1) + done)
	}
	complaint := func(text string) string { return `{"error":{"message":"` + text + `"}}` }
	const broken, exhausted, failed = agent.CodeUnavailable, agent.CodeResourceExhausted, agent.CodeToolFailed
	for name, tt := range map[string]struct {
		h    http.Handler
		code agent.Code
		want string
	}{
		"it ends in the middle": {stream(words("I am ")), broken, "it ends in the middle"},
		"it dies in the middle": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			stream(words("I am ")).ServeHTTP(w, nil)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}), broken, "unexpected EOF"},
		"nothing":          {stream(stop + done), broken, "there is nothing in it"},
		"no JSON":          {stream("data: hello\n\n"), broken, `"hello" is no chunk`},
		"an error inside":  {stream(words("I") + "data: " + complaint("busy "+key) + "\n\n"), broken, "busy <key>"},
		"a long line":      {stream(words(strings.Repeat("x", maxLine))), broken, "a line has more than"},
		"too much":         {stream(strings.Repeat(": x\n", maxBody/4+1)), broken, "more than 8388608 bytes"},
		"cut":              {because("length"), exhausted, "cut the answer"},
		"filtered":         {because("content_filter"), failed, "the filter"},
		"a call left out":  {stream(call(1, "notes_list", "{}") + stop), broken, "tool call 1 after 0 calls"},
		"a call below 0":   {stream(call(-1, "notes_list", "{}") + stop), broken, "tool call -1"},
		"without a name":   {stream(call(0, "", "{}") + stop), broken, "tool call 0 has no name"},
		"too many calls":   {stream(manyCalls(maxToolCalls+1) + stop), broken, "more than 32 tools at once"},
		"no stream":        {refuse(200, `{"choices":[]}`), agent.CodeUnimplemented, "not with a stream"},
		"a wrong key":      {refuse(401, complaint("no "+key)), agent.CodeUnauthenticated, `Unauthorized: "no <key>"`},
		"a wrong address":  {refuse(404, "page not found"), agent.CodeNotFound, "config.model.base_url"},
		"a wrong request":  {refuse(400, "bad"), failed, "400 Bad Request"},
		"a redirect":       {refuse(307, ""), failed, "307 Temporary Redirect"},
		"out of order":     {refuse(500, "oops"), broken, "500 Internal Server Error"},
		"busy, no time":    {refuse(429, complaint("slow down")), exhausted, "slow down"},
		"a long complaint": {refuse(400, strings.Repeat("x", 1<<20)), failed, "xxx"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ask(t, tt.h)
			if text := fmt.Sprint(err); agent.CodeOf(err) != tt.code || !strings.Contains(text, tt.want) ||
				strings.Contains(text, key) || len(text) > 2000 {
				t.Errorf("%.2000v, want %s and %q", err, tt.code, tt.want)
			}
		})
	}
}

func manyCalls(n int) (text string) {
	for i := range n {
		text += call(i, "notes_list", "{}")
	}
	return text
}

// The key is sent, and a server that is not there is named by its key of the project file.
func TestKeyAndAddress(t *testing.T) {
	got := make(chan string, 1)
	if _, err := ask(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Method + " " + r.URL.Path + " " + r.Header.Get("Authorization")
		stream(words("Hi")+stop).ServeHTTP(w, r)
	})); err != nil {
		t.Fatal(err)
	}
	if line := testkit.Receive(t, got); line != "POST /v1/chat/completions Bearer "+key {
		t.Error(line)
	}
	a := NewAssistant()
	a.Model = Model{BaseURL: "http://127.0.0.1:1", Name: "x", Key: key}
	sys := agenttest.Run(t, agenttest.Agents{"assistant": a})
	_, err := agent.Ask[string](sys.Ctx(), "assistant.ask", Question{})
	if agent.CodeOf(err) != agent.CodeUnavailable || !strings.Contains(err.Error(), "config.model.base_url") {
		t.Errorf("%v", err)
	}
	for _, m := range []Model{{BaseURL: "example.com", Name: "x"}, {BaseURL: "https://u:p@example.com", Name: "x"},
		{BaseURL: "https://example.com"}, {BaseURL: "ftp://example.com", Name: "x"}} {
		if _, err := agenttest.Start(t, agenttest.Agents{"assistant": &Assistant{Model: m}}); err == nil ||
			!strings.Contains(err.Error(), "config.model.") {
			t.Errorf("%+v: %v", m, err)
		}
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A server that says when to come again gets the request again then, a bounded number of times.
func TestRetryAfter(t *testing.T) {
	for name, tt := range map[string]struct {
		after string // of each refusal
		times int    // it refuses
		took  time.Duration
		tries int
		ok    bool
	}{
		"seconds":       {"2", 2, 4 * time.Second, 3, true},
		"a date":        {"date", 1, 5 * time.Second, 2, true},
		"too often":     {"1", 3, 2 * time.Second, 3, false},
		"too long":      {"3600", 3, 0, 1, false},
		"not said":      {"", 3, 0, 1, false},
		"past the call": {"15", 3, 15 * time.Second, 2, false}, // the call has 20 s
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				answer := func(*http.Request) (*http.Response, error) {
					tries++
					w := httptest.NewRecorder()
					if tries > tt.times {
						stream(words("Hi")+stop).ServeHTTP(w, nil)
						return w.Result(), nil
					}
					after := tt.after
					if after == "date" {
						after = time.Now().Add(5 * time.Second).UTC().Format(http.TimeFormat)
					}
					w.Header().Set("Retry-After", after)
					w.WriteHeader(http.StatusTooManyRequests)
					return w.Result(), nil
				}
				a := NewAssistant()
				a.Model = Model{BaseURL: "http://model.test", Name: "x",
					client: &http.Client{Transport: transport(answer)}}
				sys := agenttest.Run(t, agenttest.Agents{"assistant": a}, agenttest.CallTimeout(20*time.Second))
				began := time.Now()
				_, err := agent.Ask[string](sys.Ctx(), "assistant.ask", Question{})
				if took := time.Since(began); (err == nil) != tt.ok || took != tt.took || tries != tt.tries {
					t.Errorf("%v after %v and %d tries", err, took, tries)
				}
				if e := agent.AsError(err); err != nil && (e.Code != agent.CodeResourceExhausted ||
					tt.after != "" && e.RetryAfter == 0) {
					t.Errorf("%v, again after %v", err, e.RetryAfter)
				}
			})
		})
	}
}

// What the model says reaches the caller while it is said, in order.
func TestStreaming(t *testing.T) {
	heard := make(chan string, 10)
	a := with(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i, sentence := range []string{"One.", "Two.", "Three."} {
			for _, piece := range []string{sentence[:2], sentence[2:], " "} {
				_, _ = io.WriteString(w, words(piece))
			}
			_ = http.NewResponseController(w).Flush()
			select { // the server goes on when the caller has heard the sentence
			case got := <-heard:
				if got != sentence {
					t.Errorf("the caller heard %q as piece %d", got, i)
				}
			case <-r.Context().Done():
				t.Errorf("the caller did not hear %q", sentence)
				return
			}
		}
		_, _ = io.WriteString(w, stop+done)
	}))
	sys := agenttest.Run(t, agenttest.Agents{"assistant": a})
	last := 0.0
	got, err := agent.Ask[string](sys.Ctx(), "assistant.ask", Question{"Count."}, agent.OnProgress(
		func(n agent.ProgressNotice) {
			if n.Progress <= last {
				t.Errorf("progress %g after %g", n.Progress, last)
			}
			last = n.Progress
			heard <- n.Message
		}))
	if err != nil || got != "One. Two. Three. " {
		t.Errorf("%q, %v", got, err)
	}
}

// Who gives up ends the stream at the server.
func TestCancel(t *testing.T) {
	gone := make(chan struct{})
	a := with(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, words("One. ")+words("Two"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	}))
	sys := agenttest.Run(t, agenttest.Agents{"assistant": a})
	ctx, cancel := context.WithCancel(sys.Ctx())
	defer cancel()
	_, err := agent.Ask[string](ctx, "assistant.ask", Question{"Count."}, agent.OnProgress(
		func(agent.ProgressNotice) { cancel() }))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	testkit.Receive(t, gone)
}
