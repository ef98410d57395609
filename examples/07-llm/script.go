package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"
)

//go:embed script.json
var builtInScript []byte

// A scriptedTurn is what the model of a script does next, if the last message of the conversation
// matches. That is written as "user: TEXT" or "NAME OF THE TOOL: RESULT".
type scriptedTurn struct {
	After string `json:"after"` // a regular expression
	Say   string `json:"say"`
	Call  []struct {
		Tool      string          `json:"tool"`
		Arguments json.RawMessage `json:"arguments"` // a text: as it is, which need not be JSON
	} `json:"call"`

	after *regexp.Regexp
}

// A script is a model server that needs no model: the first turn that matches is the answer.
type script []scriptedTurn

// builtIn is the script that is part of the program.
func builtIn() (script, error) { return parseScript(builtInScript) }

func parseScript(raw []byte) (s script, err error) {
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("read the script of the model: %w", err)
	}
	for i := range s {
		if s[i].after, err = regexp.Compile(s[i].After); err != nil {
			return nil, fmt.Errorf("read the script of the model: %w", err)
		}
	}
	return s, nil
}

// ServeHTTP implements http.Handler: it streams the next turn of a conversation, as the servers of
// real models do.
func (s script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in chatRequest
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in)
	if err != nil || len(in.Messages) == 0 {
		http.Error(w, `{"error":{"message":"no request to chat/completions"}}`, http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out, calls, words := http.NewResponseController(w), 0, 0
	for _, m := range in.Messages {
		calls += len(m.ToolCalls)
		words += len(strings.Fields(m.Content))
	}
	send := func(format string, args ...any) {
		fmt.Fprintf(w, "data: {\"id\":\"scripted-%d\",\"model\":%q,", len(in.Messages), in.Model)
		fmt.Fprintf(w, format+"}\n\n", args...)
		_ = out.Flush() // a client that is gone needs no more
	}
	next, finish, pieces := s.next(in.Messages), "stop", 0
	for _, word := range strings.SplitAfter(next.Say, " ") {
		if word != "" {
			pieces++
			send(`"choices":[{"index":0,"delta":{"content":%s}}]`, quote(word))
		}
	}
	for i, c := range next.Call {
		finish = "tool_calls"
		send(`"choices":[{"index":0,"delta":{"tool_calls":[{"index":%d,"id":"call-%d","type":"function",`+
			`"function":{"name":%s,"arguments":""}}]}}]`, i, calls+i+1, quote(c.Tool))
		arguments := string(c.Arguments)
		_ = json.Unmarshal(c.Arguments, &arguments) // where it is no text, it stays as it is
		for _, piece := range strings.SplitAfter(arguments, ",") {
			pieces++
			send(`"choices":[{"index":0,"delta":{"tool_calls":[{"index":%d,"function":{"arguments":%s}}]}}]`, i,
				quote(piece))
		}
	}
	send(`"choices":[{"index":0,"delta":{},"finish_reason":%q}]`, finish)
	if in.StreamOptions.IncludeUsage {
		send(`"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d}`, words, pieces)
	}
	fmt.Fprint(w, "data: [DONE]\n\n")
}

// next is what the model does after the conversation.
func (s script) next(messages []message) scriptedTurn {
	last := messages[len(messages)-1]
	who := last.Role
	for _, m := range messages {
		for _, c := range m.ToolCalls {
			if last.ToolCallID == c.ID {
				who = c.Function.Name
			}
		}
	}
	for _, t := range s {
		if t.after.MatchString(who + ": " + last.Content) {
			return t
		}
	}
	return scriptedTurn{Say: "I am a script, and it has nothing for this. config.model.base_url names a real model."}
}

// quote writes a text as JSON.
func quote(text string) []byte {
	b, err := json.Marshal(text)
	if err != nil {
		return []byte(`""`)
	}
	return b
}

// A server is an HTTP server on a free port of this machine, which others cannot reach.
type server struct {
	url  string
	http *http.Server
	done chan error
}

func serve(ctx context.Context, h http.Handler) (*server, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the scripted model: %w", err)
	}
	s := &server{url: "http://" + l.Addr().String(), done: make(chan error, 1),
		http: &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}}
	go func() { s.done <- s.http.Serve(l) }()
	return s, nil
}

// close ends the server, and waits for it.
func (s *server) close(context.Context) error {
	err := s.http.Close()
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
