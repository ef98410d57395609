//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
)

// stream is a client over HTTP with server-sent events: requests are POSTs, answers come on one
// stream for all calls.
type stream struct {
	http   http.Client
	post   string // where to
	cancel context.CancelFunc
	done   chan struct{} // the stream has ended
	pongs  sync.WaitGroup

	mu      sync.Mutex
	next    int64
	waiting map[int64]chan *message
}

// dialStream opens a session.
func dialStream(ctx context.Context, url string) (*stream, error) {
	s := &stream{done: make(chan struct{}), waiting: map[int64]chan *message{},
		http: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}}}
	long, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	req, err := http.NewRequestWithContext(long, http.MethodGet, url+"/sse", http.NoBody)
	if err != nil {
		cancel()
		return nil, err
	}
	res, err := s.http.Do(req) //nolint:bodyclose // by the goroutine below
	if err != nil {
		cancel()
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		cancel()
		return nil, errors.Join(fmt.Errorf("no session: %s", res.Status), res.Body.Close())
	}
	endpoint := make(chan string, 1)
	go func() {
		defer close(s.done)
		defer res.Body.Close()
		// How the stream ends says nothing: whoever waits for an answer has none.
		_ = events(res.Body, func(event, data string) bool { s.event(long, event, data, endpoint); return true })
		s.pongs.Wait()
	}()
	select {
	case path := <-endpoint:
		base, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
		s.post = "http://" + base + path
	case <-s.done:
		cancel()
		return nil, errors.New("the stream ended at once")
	case <-ctx.Done():
		cancel()
		return nil, ctx.Err()
	}
	if _, err := s.request(ctx, "initialize", hello()); err != nil {
		s.close()
		return nil, err
	}
	note, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": "notifications/initialized"})
	if err == nil {
		_, err = s.send(ctx, note)
	}
	return s, err
}

// event hands a message to who waits for it.
func (s *stream) event(ctx context.Context, event, data string, endpoint chan<- string) {
	if event == "endpoint" {
		select {
		case endpoint <- data:
		default:
		}
		return
	}
	var asked struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	if json.Unmarshal([]byte(data), &asked) == nil && asked.Method == "ping" {
		s.pongs.Go(func() {
			body := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":{}}`, asked.ID)
			_, _ = s.send(ctx, body) // whoever pings sees what is missing
		})
		return
	}
	m, err := decode(data)
	if err != nil || m.ID == nil || m.Result == nil && m.Error == nil {
		return // a notification, a request
	}
	s.mu.Lock()
	ch := s.waiting[*m.ID]
	delete(s.waiting, *m.ID)
	s.mu.Unlock()
	if ch != nil {
		ch <- m
	}
}

// send returns the refusal of a POST, if it was refused.
func (s *stream) send(ctx context.Context, body []byte) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.post, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := s.http.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, errRefused
	}
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1000))
	if res.StatusCode >= http.StatusBadRequest {
		return &answer{code: fmt.Sprintf("http %d", res.StatusCode), text: string(text), notRun: true}, nil
	}
	return nil, err
}

func (s *stream) request(ctx context.Context, method string, params any) (answer, error) {
	ch := make(chan *message, 1)
	s.mu.Lock()
	s.next++
	id := s.next
	s.waiting[id] = ch
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiting, id)
		s.mu.Unlock()
	}()
	body, err := request(id, method, params)
	if err != nil {
		return answer{}, err
	}
	refused, err := s.send(ctx, body)
	if refused != nil {
		return *refused, nil
	}
	if errors.Is(err, errRefused) {
		return answer{}, err
	}
	// Also after an error: the answer comes another way.
	select {
	case m := <-ch:
		return m.answer()
	case <-s.done:
	case <-ctx.Done():
	}
	select {
	case m := <-ch: // both
		return m.answer()
	default:
		return answer{}, errors.Join(errors.New("the stream ended without an answer"), err, ctx.Err())
	}
}

func (s *stream) call(ctx context.Context, tool string, args any) (answer, error) {
	return s.request(ctx, "tools/call", callParams(tool, args))
}

func (s *stream) close() {
	s.cancel()
	<-s.done
	s.http.CloseIdleConnections()
}
