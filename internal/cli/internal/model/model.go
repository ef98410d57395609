// Package model answers sampling requests with a model behind an endpoint that speaks OpenAI's chat
// completions: one request without streaming for each, within bounds.
package model

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/agent"
)

// The environment variables of a model.
const (
	URLVar  = "OPENMAS_MODEL_URL"
	NameVar = "OPENMAS_MODEL"
	KeyVar  = "OPENMAS_MODEL_KEY"
)

const (
	// maxAsked bounds how often one call may ask, maxTokens what an answer may have, and maxAnswer
	// the bytes of one: the model is somebody's to pay, and the callee a stranger.
	maxAsked  = 20
	maxTokens = 4096
	maxAnswer = 4 << 20
	askTime   = 2 * time.Minute
)

// A Model answers sampling requests. It is safe for concurrent use.
type Model struct {
	Name   string
	url    string
	key    string
	client *http.Client
	asked  atomic.Int32
}

// New returns the model that name, or the environment, names; nil: none is. The key is from the
// environment alone, since everybody on the machine can read a command line.
func New(name, at string, getenv func(string) string) (*Model, error) {
	if name == "" {
		name = getenv(NameVar)
	}
	if at == "" {
		at = getenv(URLVar)
	}
	switch {
	case name == "" && at == "":
		return nil, nil
	case name == "":
		return nil, fmt.Errorf("which model of %s? --model or %s names it", at, NameVar)
	case at == "":
		return nil, fmt.Errorf("where is the model %s? --model-url or %s names an endpoint, such as "+
			"http://127.0.0.1:11434/v1", name, URLVar)
	}
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("the model's URL %q: want http://host:port/v1, without user and password", at)
	}
	return &Model{Name: name, url: strings.TrimSuffix(at, "/") + "/chat/completions", key: getenv(KeyVar),
		client: &http.Client{Timeout: askTime, CheckRedirect: stay,
			Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}}, nil
}

// stay keeps what was asked from going where somebody else redirects it to.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type request struct {
	Model       string    `json:"model"`
	Messages    []message `json:"messages"`
	MaxTokens   int64     `json:"max_tokens,omitempty"`
	Temperature float64   `json:"temperature,omitempty"`
	Stop        []string  `json:"stop,omitempty"`
}

type answer struct {
	Model   string `json:"model"`
	Choices []struct {
		Message      message `json:"message"`
		FinishReason string  `json:"finish_reason"`
	} `json:"choices"`
	Error struct {
		Message string `json:"message"`
	} `json:"error"`
}

// Tokens is how many tokens the answer to a request may have.
func (m *Model) Tokens(r agent.SampleRequest) int64 {
	if r.MaxTokens <= 0 {
		return maxTokens
	}
	return min(r.MaxTokens, maxTokens)
}

// Sample answers a request. What the endpoint cannot be asked is unavailable.
func (m *Model) Sample(ctx context.Context, r agent.SampleRequest) (agent.SampleResult, error) {
	var none agent.SampleResult
	if n := m.asked.Add(1); n > maxAsked {
		return none, agent.Errorf(agent.CodeResourceExhausted, "one call may ask the model %d times", maxAsked)
	}
	if len(r.Tools) > 0 {
		return none, agent.Errorf(agent.CodeUnavailable, "the model of openmas call answers without tools only")
	}
	out := request{Model: m.Name, MaxTokens: m.Tokens(r), Temperature: r.Temperature, Stop: r.StopSequences}
	if r.SystemPrompt != "" {
		out.Messages = append(out.Messages, message{"system", r.SystemPrompt})
	}
	for _, in := range r.Messages {
		for _, block := range in.Content {
			if block.Type != agent.ContentText {
				return none, agent.Errorf(agent.CodeUnavailable, "the model of openmas call reads texts, not %s",
					block.Type)
			}
		}
		out.Messages = append(out.Messages, message{in.Role, in.Content.Text()})
	}
	got, err := m.post(ctx, out)
	if err != nil {
		return none, agent.Errorf(agent.CodeUnavailable, "the model %s: %w", m.Name, err)
	}
	first := got.Choices[0]
	reason := map[string]string{"stop": "endTurn", "length": "maxTokens"}[first.FinishReason]
	if got.Model == "" {
		got.Model = m.Name
	}
	return agent.SampleResult{Role: agent.RoleAssistant, Content: agent.Blocks{agent.Text(first.Message.Content)},
		Model: got.Model, StopReason: reason}, nil
}

func (m *Model) post(ctx context.Context, out request) (answer, error) {
	var got answer
	body, err := json.Marshal(out)
	if err != nil {
		return got, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(body))
	if err != nil {
		return got, err
	}
	req.Header.Set("Content-Type", "application/json")
	if m.key != "" {
		req.Header.Set("Authorization", "Bearer "+m.key)
	}
	res, err := m.client.Do(req)
	if err != nil {
		return got, err
	}
	defer func() { _ = res.Body.Close() }() // it was read to its end, or given up
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return got, err
	}
	if len(text) > maxAnswer {
		return got, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	err = json.Unmarshal(text, &got)
	switch {
	case res.StatusCode != http.StatusOK && got.Error.Message != "":
		return got, fmt.Errorf("%s: %s", res.Status, m.without(got.Error.Message))
	case res.StatusCode != http.StatusOK:
		return got, errors.New(res.Status)
	case err != nil:
		return got, fmt.Errorf("the answer is no chat completion: %w", err)
	case len(got.Choices) == 0:
		return got, errors.New("the answer has no choices")
	}
	return got, nil
}

// without is a text of the endpoint without the key: some write in an error which key was wrong.
func (m *Model) without(text string) string {
	if m.key == "" {
		return text
	}
	return strings.ReplaceAll(text, m.key, "…")
}
