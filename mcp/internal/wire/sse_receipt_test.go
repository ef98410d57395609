package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// TestAnEndingSessionWaitsForTheReceipt ends the stream while a POST is under way, which the server
// then turns away: the caller learns that its message was not taken, although the session is over.
func TestAnEndingSessionWaitsForTheReceipt(t *testing.T) {
	posted, ended := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sse", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprint(w, "event: endpoint\ndata: /messages/?session_id=1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-posted
	})
	mux.HandleFunc("POST /messages/", func(w http.ResponseWriter, r *http.Request) {
		close(posted)
		<-ended
		http.Error(w, "shutting down", http.StatusServiceUnavailable)
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	c, err := NewSSEClient(SSEClientOptions{URL: srv.URL + "/sse"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	id, _ := jsonrpc.MakeID("1")
	wrote := make(chan error, 1)
	go func() { wrote <- c.Write(context.Background(), &jsonrpc.Request{ID: id, Method: "ping"}) }()
	<-posted
	for c.receipts.begin() == nil { // until the end of the stream was seen
		c.receipts.end()
	}
	late := c.Write(t.Context(), &jsonrpc.Request{Method: "notifications/initialized"})
	select {
	case <-c.Done():
		t.Error("the session did not wait")
	default:
	}
	close(ended)
	var not *NotSentError
	var status *HTTPError
	if err := <-wrote; !errors.As(err, &not) || !errors.As(err, &status) ||
		status.Status != http.StatusServiceUnavailable {
		t.Errorf("the POST under way: %v", err)
	}
	if !errors.As(late, &not) || !errors.Is(late, ErrPeerClosed) {
		t.Errorf("a late POST: %v", late)
	}
	<-c.Done()
	if !errors.Is(c.Err(), ErrPeerClosed) {
		t.Error(c.Err())
	}
}

// A server may use the id of a question again once it has the answer, although it has not yet
// returned from the POST that brought it.
func TestAQuestionBeforeTheReceiptOfTheAnswerToTheLast(t *testing.T) {
	const ask = "data: " + `{"jsonrpc":"2.0","id":"q","method":"ping"}` + "\n\n"
	again, asked := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sse", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprint(w, "event: endpoint\ndata: /messages/?session_id=1\n\n"+ask)
		_ = http.NewResponseController(w).Flush()
		<-again
		_, _ = fmt.Fprint(w, ask)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("POST /messages/", func(w http.ResponseWriter, r *http.Request) {
		close(again)
		<-asked
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	c := sseClient(t, SSEClientOptions{URL: srv.URL + "/sse"})
	if _, err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	first, err := c.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	id := first.(*jsonrpc.Request).ID
	wrote := make(chan error, 1)
	go func() { wrote <- c.Write(ctx, &jsonrpc.Response{ID: id, Result: json.RawMessage("{}")}) }()
	second, err := c.Read(ctx)
	if err != nil {
		t.Errorf("the second question: %v", err)
	} else if got := second.(*jsonrpc.Request).ID; got != id {
		t.Errorf("the second question has the id %v", got)
	}
	close(asked)
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	if n := c.InFlight(); err == nil && n != 1 {
		t.Errorf("%d questions without an answer", n)
	}
	_ = c.Close()
}
