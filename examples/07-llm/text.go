package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/openmas/openmas/agent"
)

const (
	maxResult = 32 << 10 // bytes of a tool's result that the model reads
	maxShown  = 200      // bytes of a tool's arguments that the caller is told about
	pieceSize = 60       // bytes of a sentence that are handed on before its end
)

// visible is JSON on one line, in which nothing is invisible or turns the text around it.
func visible(args json.RawMessage) string {
	var line bytes.Buffer
	if json.Compact(&line, args) != nil {
		return string(args)
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, line.String())
}

// isObject reports whether raw is a JSON object.
func isObject(raw json.RawMessage) bool {
	var object map[string]json.RawMessage
	return json.Unmarshal(raw, &object) == nil && object != nil
}

// cut is at most n bytes of a text, and says so.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + " [cut]"
}

// A speech hands on to the caller, as progress, what the model says while it says it: by the
// sentence or in pieces of some words, because MCP wants those who send progress to limit its rate.
type speech struct {
	ctx   context.Context
	count float64
	text  string
}

func (s *speech) say(text string) {
	s.text += text
	end := strings.LastIndexAny(s.text, " \n\t")
	if end > 0 && (end >= pieceSize || strings.ContainsRune(".!?:\n", rune(s.text[end-1]))) {
		s.line(s.text[:end])
		s.text = s.text[end+1:]
	}
}

// flush hands on what is left.
func (s *speech) flush() {
	s.line(s.text)
	s.text = ""
}

func (s *speech) line(text string) {
	if text = strings.TrimSpace(text); text != "" {
		s.count++
		agent.Progress(s.ctx, s.count, 0, text)
	}
}
