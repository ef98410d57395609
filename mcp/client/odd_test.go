package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// sse is a session over HTTP+SSE. status is that of POSTs of the notification that the handshake is
// over; 0: 202.
func (r *raw) sse(t *testing.T, o Options) *Session {
	out, ended := make(chan string, 10), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sse", func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "event: endpoint\ndata: /messages\n\n")
		for {
			_ = http.NewResponseController(w).Flush()
			select {
			case msg := <-out:
				_, _ = fmt.Fprintf(w, "data: %s\n\n", msg)
			case <-ended:
				return
			case <-req.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("POST /messages", func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		if r.refuses(body) {
			http.Error(w, "no such thing", r.refusal)
			return
		}
		if text := r.answer(body); text != "" {
			out <- text
		}
		w.WriteHeader(http.StatusAccepted)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(func() { close(ended); srv.CloseClientConnections(); srv.Close() })
	return mustConnect(t, Target{Name: "raw", Transport: mcp.SSE, URL: srv.URL + "/sse"}, o)
}

// refuses reports whether the server answers a message over HTTP with its refusal.
func (r *raw) refuses(msg []byte) bool {
	return r.refusal != 0 && strings.Contains(string(msg), codec.MethodInitialized)
}

// A member of the wrong type in the answer to the handshake costs a warning, not the server.
func TestOddHandshakes(t *testing.T) {
	const head = `{"result":{"protocolVersion":"2025-06-18",`
	for name, tt := range map[string]struct{ answer, odd string }{
		"a version that is a number": {head + `"capabilities":{"tools":{}},"serverInfo":{"name":"x","version":1.0}}}`,
			"serverInfo.version"},
		"a name alone": {head + `"capabilities":{"tools":{}},"serverInfo":"x"}}`, "serverInfo"},
		"tools are true": {head + `"capabilities":{"tools":true,"logging":true}}}`, "capabilities.logging, " +
			"capabilities.tools"},
		"lists": {head + `"_meta":[],"instructions":5,"capabilities":{"tools":[],"experimental":[]}}}`,
			"_meta, instructions, capabilities.experimental, capabilities.tools"},
		"a yes": {head + `"capabilities":{"tools":{"listChanged":"yes"}}}}`, "capabilities.tools.listChanged"},
		"twice": {head + `"capabilities":{"tools":{}},"serverInfo":7,"serverInfo":{"name":"x","version":1}}}`,
			"serverInfo.version"},
	} {
		for way, connect := range map[string]func(*raw, *testing.T, Options) *Session{"stdio": (*raw).stdio,
			"http": (*raw).http, "sse": (*raw).sse, "events": func(r *raw, t *testing.T, o Options) *Session {
				r.answers["initialize"] = `=data: {"jsonrpc":"2.0","id":$id,` + r.answers["initialize"][1:]
				return r.http(t, o)
			}} {
			for _, off := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/%v", name, way, !off), func(t *testing.T) {
					t.Parallel()
					log := &testkit.Buffer{}
					s := connect(newRaw(map[string]string{"initialize": tt.answer}), t,
						Options{NoFastPath: off, Logger: slog.New(slog.NewTextHandler(log, nil))})
					if got := mustCall(t, s, "good", nil, nil).Text(); got != "fine" {
						t.Errorf("%s", got)
					}
					if n := strings.Count(log.String(), "WARN"); n != 1 || !strings.Contains(log.String(), tt.odd) {
						t.Errorf("want one warning with %s:\n%s", tt.odd, log)
					}
				})
			}
		}
	}
}

// A refusal of the notification that ends the handshake costs a warning.
func TestARefusedNotificationCostsNothing(t *testing.T) {
	for way, connect := range map[string]func(*raw, *testing.T, Options) *Session{"http": (*raw).http,
		"sse": (*raw).sse} {
		for _, status := range []int{400, 404, 500} {
			if status == 404 && way == "sse" {
				continue // there it ends the session
			}
			t.Run(fmt.Sprint(way, status), func(t *testing.T) {
				log := &testkit.Buffer{}
				r := newRaw(nil)
				r.refusal = status
				s := connect(r, t, Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
				if got := mustCall(t, s, "good", nil, nil).Text(); got != "fine" {
					t.Errorf("%s", got)
				}
				if !strings.Contains(log.String(), fmt.Sprint("status=", status)) {
					t.Errorf("no warning: %s", log)
				}
			})
		}
	}
}

// An error without an id is the answer to the only request there is, and is told where there are
// several.
func TestAnErrorThatNamesNoRequest(t *testing.T) {
	const no = `={"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"cannot read that"}}`
	for _, off := range []bool{false, true} {
		for way, connect := range map[string]func(*raw, *testing.T, Options) *Session{"stdio": (*raw).stdio,
			"http": (*raw).http, "sse": (*raw).sse} {
			r := newRaw(map[string]string{"tools/call": no})
			s := connect(r, t, Options{NoFastPath: off})
			if _, err := call(t.Context(), s, "good", nil, nil); err == nil ||
				!strings.Contains(err.Error(), "cannot read that") {
				t.Errorf("%s, fast path off %v: %v", way, off, err)
			}
		}
		r := newRaw(map[string]string{"initialize": no})
		_, err := connectPipes(t.Context(), r.serve(t), Target{Name: "raw"}, Options{NoFastPath: off})
		if err == nil || !strings.Contains(err.Error(), "cannot read that") {
			t.Errorf("the handshake: %v", err)
		}
		log := &testkit.Buffer{}
		r = newRaw(map[string]string{"tools/call": ""})
		s := r.stdio(t, Options{NoFastPath: off, Logger: slog.New(slog.NewTextHandler(log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		for range 2 {
			go func() { _, err := call(ctx, s, "good", nil, nil); done <- err }()
		}
		testkit.Eventually(t, "two calls", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.asked["tools/call"] == 2
		})
		r.say(no[1:])
		testkit.Eventually(t, "a warning", func() bool { return strings.Contains(log.String(), "cannot read that") })
		cancel()
		<-done
		<-done
	}
}

// A redirect that would lose the message names the URL to use. An event of an odd name that is a
// message is read.
func TestRedirectsAndOddEvents(t *testing.T) {
	srv := httptest.NewServer(http.RedirectHandler("/there?token=secret", http.StatusFound))
	defer srv.Close()
	_, err := Connect(t.Context(), Target{Name: "raw", Transport: mcp.Streamable, URL: srv.URL + "/mcp"}, Options{})
	if err == nil || !strings.Contains(err.Error(), "set the url to that") ||
		!strings.Contains(err.Error(), srv.URL+"/there") || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	loop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path+"x?token=secret", http.StatusTemporaryRedirect)
	}))
	defer loop.Close()
	for transport, name := range map[mcp.Transport]string{mcp.Streamable: "/mcp", mcp.SSE: "/sse"} {
		_, err := Connect(t.Context(), Target{Name: "raw", Transport: transport, URL: loop.URL + name}, Options{})
		var e *ConnectError
		if !errors.As(err, &e) || e.Reason != ReasonRedirects || strings.Contains(err.Error(), "secret") ||
			!strings.HasSuffix(err.Error(), "redirects more than 10 times, at last to "+loop.URL+name+"xxxxxxxxxx") {
			t.Errorf("%s: %v", transport, err)
		}
	}
	for _, off := range []bool{false, true} {
		r := newRaw(map[string]string{
			"tools/call": "=data: x\n\nevent: response\n" + `data: {"jsonrpc":"2.0","id":$id,"result":{"content":[]}}`})
		mustCall(t, r.http(t, Options{NoFastPath: off}), "good", nil, nil)
	}
}
