package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/openmas/openmas/agent"
)

// What a model server may send at most for one answer.
const (
	maxLine      = 256 << 10
	maxToolCalls = 32
)

// An answer is a turn of the model.
type answer struct {
	message
	id, model, finish string
	in, out, tokens   int  // tokens are both
	counted           bool // by the server
}

// read reads a stream of server-sent events to its end, or until the answer has limit tokens. say
// gets the text as it comes.
func (a *answer) read(r io.Reader, limit int, say func(string)) error {
	a.Role = "assistant"
	bounded := &io.LimitedReader{R: r, N: maxBody}
	lines := bufio.NewScanner(bounded)
	lines.Buffer(make([]byte, 0, 4<<10), maxLine)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if data = bytes.TrimSpace(data); !ok || len(data) == 0 {
			continue // a comment, another field, or the end of an event
		}
		if string(data) == "[DONE]" {
			return a.complete()
		}
		var c chunk
		if err := json.Unmarshal(data, &c); err != nil {
			return broken("%.100q is no chunk: %w", data, err)
		}
		if err := a.add(c, say); err != nil {
			return err
		}
		if a.tokens > limit {
			return agent.Errorf(agent.CodeResourceExhausted, "the answer has more than %d tokens", limit)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return broken("a line has more than %d bytes", maxLine)
	case err != nil:
		return broken("%w", err)
	case bounded.N <= 0:
		return broken("it has more than %d bytes", maxBody)
	case a.finish == "":
		return broken("it ends in the middle")
	}
	return a.complete() // some servers leave out the last line
}

// add adds a chunk. Each that brings a part of the answer counts as a token, which most servers
// make it; what they say themselves counts in the end.
func (a *answer) add(c chunk, say func(string)) error {
	if len(c.Error) > 0 && string(c.Error) != "null" {
		return broken("it is an error: %.500s", c.Error)
	}
	if c.ID != "" {
		a.id, a.model = c.ID, c.Model
	}
	if c.Usage != nil && c.Usage.In >= 0 && c.Usage.Out >= 0 {
		a.in, a.out, a.counted = c.Usage.In, c.Usage.Out, true
		a.tokens = a.in + a.out
	}
	for _, choice := range c.Choices[:min(len(c.Choices), 1)] { // only one was asked for
		if choice.FinishReason != "" {
			a.finish = choice.FinishReason
		}
		if text := choice.Delta.Content; text != "" {
			a.Content += text
			say(text)
		}
		for _, d := range choice.Delta.ToolCalls {
			if err := a.addCall(d); err != nil {
				return err
			}
		}
		if !a.counted && (choice.Delta.Content != "" || len(choice.Delta.ToolCalls) > 0) {
			a.out++
			a.tokens++
		}
	}
	return nil
}

func (a *answer) addCall(d toolDelta) error {
	switch {
	case d.Index < 0 || d.Index > len(a.ToolCalls):
		return broken("there is a piece of tool call %d after %d calls", d.Index, len(a.ToolCalls))
	case d.Index == maxToolCalls:
		return broken("it calls more than %d tools at once", maxToolCalls)
	case d.Index == len(a.ToolCalls):
		a.ToolCalls = append(a.ToolCalls, toolCall{Type: "function"})
	}
	call := &a.ToolCalls[d.Index]
	if d.ID != "" {
		call.ID = d.ID
	}
	call.Function.Name += d.Function.Name
	call.Function.Arguments += d.Function.Arguments
	return nil
}

// complete checks an answer that has come to its end.
func (a *answer) complete() error {
	switch a.finish {
	case "length":
		return agent.Errorf(agent.CodeResourceExhausted, "the model server cut the answer: it is as long as it allows")
	case "content_filter":
		return agent.Errorf(agent.CodeToolFailed, "the filter of the model server kept the answer back")
	}
	if a.Content == "" && len(a.ToolCalls) == 0 {
		return broken("there is nothing in it")
	}
	for i := range a.ToolCalls {
		call := &a.ToolCalls[i].Function
		if call.Name == "" {
			return broken("tool call %d has no name", i)
		}
		if strings.TrimSpace(call.Arguments) == "" {
			call.Arguments = "{}"
		}
	}
	return nil
}

// broken is the error of a stream that is not what it should be.
func broken(format string, args ...any) error {
	return agent.Errorf(agent.CodeUnavailable, "the answer of the model server is broken: %w",
		fmt.Errorf(format, args...))
}
