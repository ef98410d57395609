//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"
)

// A client makes calls on one MCP session. It is written for this purpose, with nothing of openmas
// in it: it must not help.
type client interface {
	call(ctx context.Context, tool string, args any) (answer, error)
	close()
}

// An answer is what a client got for a call.
type answer struct {
	code string // of the error, empty when all went well
	text string // of the error
	job  struct {
		ID  string `json:"id"`
		PID int    `json:"pid"`
		Pad string `json:"pad"`
	}
	notRun bool // the error says that the tool did not run
}

// errRefused means that nothing was sent: nobody listens there.
var errRefused = errors.New("refused")

// errWrong is the answer to another call.
var errWrong = errors.New("wrong answer")

// message is JSON-RPC.
type message struct {
	odd    bool            // what came is not UTF-8
	ID     *int64          `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    struct {
			Code   string `json:"openmas/code"`
			NotRun bool   `json:"openmas/not-executed"`
		} `json:"data"`
	} `json:"error"`
}

// answer reads the result of tools/call.
func (m *message) answer() (a answer, err error) {
	if m.odd {
		return a, fmt.Errorf("%w: it is not UTF-8", errWrong)
	}
	if m.Error != nil {
		a.code, a.text, a.notRun = m.Error.Data.Code, m.Error.Message, m.Error.Data.NotRun
		if a.code == "" {
			a.code = fmt.Sprint(m.Error.Code)
		}
		return a, nil
	}
	var r struct {
		IsError    bool            `json:"isError"`
		Structured json.RawMessage `json:"structuredContent"`
		Content    []struct {
			Text string `json:"text"`
		} `json:"content"`
		Meta struct {
			Code   string `json:"openmas/code"`
			NotRun bool   `json:"openmas/not-executed"`
		} `json:"_meta"`
	}
	if err := json.Unmarshal(m.Result, &r); err != nil {
		return a, err
	}
	if len(r.Content) > 0 {
		a.text = r.Content[0].Text
	}
	if r.IsError {
		if a.code, a.notRun = r.Meta.Code, r.Meta.NotRun; a.code == "" {
			a.code = "tool_failed" // of a foreign server
		}
		return a, nil
	}
	if r.Structured == nil { // of an old server
		r.Structured = json.RawMessage(a.text)
	}
	if err := json.Unmarshal(r.Structured, &a.job); err != nil {
		a.job.ID = a.text // the tool's result is a text
	}
	return a, nil
}

// request is JSON-RPC too.
func request(id int64, method string, params any) ([]byte, error) {
	return json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

// hello are the params of initialize.
func hello() any {
	return map[string]any{"protocolVersion": "2025-06-18", "capabilities": map[string]any{},
		"clientInfo": map[string]any{"name": "chaos", "version": "1"}}
}

// callParams are those of tools/call.
func callParams(tool string, args any) any { return map[string]any{"name": tool, "arguments": args} }

// web is a client over streamable HTTP.
type web struct {
	http    http.Client
	url     string
	session string
	next    atomic.Int64
}

// dialWeb opens a session.
func dialWeb(ctx context.Context, url string) (*web, error) {
	w := &web{url: url + "/mcp", http: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	body, err := request(w.next.Add(1), "initialize", hello())
	if err != nil {
		return nil, err
	}
	res, err := w.post(ctx, body)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return nil, err
	}
	if w.session = res.Header.Get("Mcp-Session-Id"); w.session == "" {
		return nil, fmt.Errorf("no session: %s", res.Status)
	}
	note, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": "notifications/initialized"})
	if err != nil {
		return nil, err
	}
	res, err = w.post(ctx, note)
	if err != nil {
		return nil, err
	}
	return w, res.Body.Close()
}

func (w *web) post(ctx context.Context, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if w.session != "" {
		req.Header.Set("Mcp-Session-Id", w.session)
	}
	res, err := w.http.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, errRefused
	}
	return res, err
}

func (w *web) call(ctx context.Context, tool string, args any) (answer, error) {
	id := w.next.Add(1)
	body, err := request(id, "tools/call", callParams(tool, args))
	if err != nil {
		return answer{}, err
	}
	res, err := w.post(ctx, body)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(res.Body, 1000))
		return answer{code: fmt.Sprintf("http %d", res.StatusCode), text: string(text), notRun: true}, err
	}
	m, err := read(res, id)
	if err != nil {
		return answer{}, err
	}
	return m.answer()
}

// read reads the response to a request: JSON, or a stream of events with it.
func read(res *http.Response, id int64) (*message, error) {
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		text, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		m, err := decode(string(text))
		if err != nil {
			return nil, err
		}
		return m, own(m, id)
	}
	var found *message
	err := events(res.Body, func(_, data string) bool {
		if m, err := decode(data); err == nil && m.ID != nil && (m.Result != nil || m.Error != nil) {
			found = m
		}
		return found == nil
	})
	if found == nil {
		return nil, errors.Join(errors.New("the stream ended without an answer"), err)
	}
	return found, own(found, id)
}

func decode(text string) (*message, error) {
	m := &message{odd: !utf8.ValidString(text)}
	return m, json.Unmarshal([]byte(text), m)
}

// own refuses the answer to another request.
func own(m *message, id int64) error {
	if m.ID != nil && *m.ID != id {
		return fmt.Errorf("%w: the answer has id %d", errWrong, *m.ID)
	}
	return nil
}

// events reads server-sent events until more reports false.
func events(r io.Reader, more func(event, data string) bool) error {
	lines := bufio.NewReader(r)
	var event, data string
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == "":
			if data != "" && !more(event, data) {
				return nil
			}
			event, data = "", ""
		case strings.HasPrefix(line, "event:"):
			event = strings.TrimSpace(line[len("event:"):])
		case strings.HasPrefix(line, "data:"):
			data += strings.TrimPrefix(line[len("data:"):], " ")
		}
	}
}

func (w *web) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if req, err := http.NewRequestWithContext(ctx, http.MethodDelete, w.url, http.NoBody); err == nil {
		req.Header.Set("Mcp-Session-Id", w.session)
		if res, err := w.http.Do(req); err == nil {
			res.Body.Close()
		}
	}
	w.http.CloseIdleConnections()
}
