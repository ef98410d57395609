package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/openmas/openmas/agent"
)

const (
	maxTries   = 3                // of a request that the server refuses for now
	maxWait    = 20 * time.Second // for the next one; a server that asks for more is given up
	maxRefusal = 4 << 10          // bytes of the reason for a refusal
)

// A Model is one at a server that speaks chat/completions, which many do.
type Model struct {
	BaseURL string `json:"base_url"` // what chat/completions comes after; empty: the script
	Name    string `json:"name"`
	Key     string `json:"key"`    // left out: none is sent
	Record  bool   `json:"record"` // what the model is asked and answers is recorded in the trace

	client *http.Client
}

// open checks the settings.
func (m *Model) open() error {
	u, err := url.Parse(m.BaseURL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("config.model.base_url is no URL such as https://api.example.com/v1")
	case u.User != nil:
		return errors.New("config.model.base_url has a user in it: the key belongs into config.model.key")
	case m.Name == "":
		return errors.New("config.model.name is missing: which model of the server?")
	}
	if m.client == nil {
		m.client = &http.Client{}
	}
	// A redirect would take the conversation to a server that nobody has named.
	m.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return nil
}

// chat has the model take its next turn. say gets its words as they come. It may use limit tokens.
func (m *Model) chat(ctx context.Context, messages []message, tools []toolSpec, limit int,
	say func(string)) (a answer, err error) {
	ctx, span := beginChat(ctx, m.BaseURL, m.Name, m.Record, messages)
	defer func() {
		err = m.withoutKey(err)
		span.end(a, err)
	}()
	request := chatRequest{Model: m.Name, Messages: messages, Tools: tools, Stream: true}
	request.StreamOptions.IncludeUsage = true
	body, err := json.Marshal(request)
	if err != nil {
		return a, agent.Errorf(agent.CodeInternal, "encode the request to the model: %w", err)
	}
	res, err := m.send(ctx, body)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	first := span.firstChunk()
	err = a.read(res.Body, limit, func(text string) { first(); say(text) })
	if !a.counted { // by the server: so by size, rather too many than too few
		a.in = len(body) / 3
		a.tokens = a.in + a.out
	}
	if err != nil && ctx.Err() != nil {
		err = agent.Errorf(agent.CodeOf(ctx.Err()), "the model was cut off: %w", ctx.Err())
	}
	return a, err
}

// send makes the request, again where the server says when.
func (m *Model) send(ctx context.Context, body []byte) (*http.Response, error) {
	for try := 1; ; try++ {
		res, err := m.post(ctx, body)
		if err != nil {
			return nil, err
		}
		kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
		if res.StatusCode == http.StatusOK && kind == "text/event-stream" {
			return res, nil
		}
		refused := m.refused(res, kind)
		res.Body.Close()
		end, bounded := ctx.Deadline()
		wait := refused.RetryAfter
		if try == maxTries || wait <= 0 || wait > maxWait || bounded && time.Until(end) < wait {
			return nil, refused
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, agent.Errorf(agent.CodeOf(ctx.Err()), "while the model server wants to be left alone: %w",
				ctx.Err())
		}
	}
}

func (m *Model) post(ctx context.Context, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(m.BaseURL, "/")+"/chat/completions",
		bytes.NewReader(body))
	if err != nil {
		return nil, agent.Errorf(agent.CodeInternal, "make the request to the model: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	if m.Key != "" {
		r.Header.Set("Authorization", "Bearer "+m.Key)
	}
	res, err := m.client.Do(r)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, agent.Errorf(agent.CodeOf(ctx.Err()), "while the model server had not answered: %w", ctx.Err())
	case err != nil:
		return nil, agent.Errorf(agent.CodeUnavailable, "the model server (config.model.base_url) does not answer: %w",
			err)
	}
	return res, nil
}

// refused is the error of an answer that is no stream.
func (m *Model) refused(res *http.Response, kind string) *agent.Error {
	raw, _ := io.ReadAll(io.LimitReader(res.Body, maxRefusal)) // what there is of it will do
	var told struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	reason := string(raw)
	if json.Unmarshal(raw, &told) == nil && told.Error.Message != "" {
		reason = told.Error.Message
	}
	code, hint := agent.CodeToolFailed, ""
	switch s := res.StatusCode; {
	case s == http.StatusOK:
		return agent.Errorf(agent.CodeUnimplemented, "the model server answers with %q, not with a stream: %.200q",
			kind, reason)
	case s == http.StatusTooManyRequests:
		code = agent.CodeResourceExhausted
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		code, hint = agent.CodeUnauthenticated, " (config.model.key)"
	case s == http.StatusNotFound:
		code, hint = agent.CodeNotFound, " (config.model.base_url and config.model.name)"
	case s >= 500:
		code = agent.CodeUnavailable
	}
	e := agent.Errorf(code, "the model server refuses the request%s: %s: %.500q", hint, res.Status, reason)
	if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable {
		e.RetryAfter = retryAfter(res.Header.Get("Retry-After"))
	}
	return e
}

// withoutKey is an error without the key in it: some servers repeat what they were sent.
func (m *Model) withoutKey(err error) error {
	if err == nil || m.Key == "" || !strings.Contains(err.Error(), m.Key) {
		return err
	}
	e := *agent.AsError(err)
	return &agent.Error{Code: e.Code, RetryAfter: e.RetryAfter,
		Message: strings.ReplaceAll(e.Message, m.Key, "<key>")}
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(text string) time.Duration {
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
