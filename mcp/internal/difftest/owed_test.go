package difftest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/openmas/openmas/mcp"
)

// serverWays are the ways to our servers, with the fast path and without.
func serverWays() (all []way) {
	for _, w := range clientWays() {
		if w.json {
			continue
		}
		for _, fast := range []bool{true, false} {
			w.fast = fast
			all = append(all, w)
		}
	}
	return all
}

// What the protocol owes a client, in so many words: the differential test would not notice what is
// wrong both ways alike.
func TestServersOweTheirClients(t *testing.T) {
	for _, w := range serverWays() {
		t.Run(fmt.Sprintf("%s fast=%v", w, w.fast), func(t *testing.T) {
			t.Parallel()
			c := w.join(t, false)
			meta := func(msg string) string { return in(w.version, msg) }
			ids := []string{"9007199254740993", "-123456789012345678901234567890", "1.5", "1.0", "1e3", "-0", `"a"`,
				`"\u0061\n"`, `"openmas-id:1"`, "0", `""`}
			for _, id := range ids {
				n := 0
				for _, call := range []string{`"tools/call","params":{"name":"callee_echo","arguments":{"a":1},$meta()}`,
					`"tools/list","params":{$meta()}`, `"resources/list","params":{$meta()}`} {
					c.send(meta(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%s}`, id, call)))
					n++
					c.awaitNth(t, fmt.Sprintf("answer %d to %s", n, id), n, answered(id))
				}
			}
			c.send(meta(`{"jsonrpc":"2.0","id":"unknown","method":"tools/cal","params":{$meta()}}`))
			got := c.await(t, "an error", answered(`"unknown"`))
			if !strings.Contains(got, `"code":-32601`) {
				t.Errorf("an unknown method is answered %s", got)
			}
			for _, method := range []string{"notifications/later", "notifications/roots/list_changed", "tools/list",
				"later"} {
				c.send(meta(fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":{$meta()}}`, method)))
			}
			c.send(meta(`{"jsonrpc":"2.0","id":"slow","method":"tools/call","params":{"name":"callee_hang","arguments":{},` +
				`$meta("progressToken":"p","openmas/timeout":500)}}`))
			c.await(t, "begun", holds("begun"))
			c.send(meta(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"slow",$meta()}}`))
			stateless := w.transport == mcp.Streamable && w.version == eraNewest // a request is a session there
			for _, msg := range c.finish() {
				switch {
				case strings.Contains(msg, `"slow"`) && !stateless:
					t.Errorf("a call that was cancelled is answered: %s", msg)
				case strings.HasPrefix(msg, "status") && !(stateless && strings.HasSuffix(msg, "404")),
					strings.Contains(msg, `"id":null`):
					t.Errorf("a notification is answered: %s", msg)
				case strings.Contains(msg, "openmas-id") && !strings.Contains(msg, `"id":"openmas-id:1"`):
					t.Errorf("an id is not the client's: %s", msg)
				}
			}
		})
	}
}

// What HTTP owes beside the messages.
func TestHTTPServersOweTheirClients(t *testing.T) {
	s := newHTTPServer(t, newGateway(t, directory{}, true), false)
	defer s.close()
	for _, path := range []string{"/mcp", "/sse", "/messages/", "/agents/callee/mcp", "/agents/callee/sse"} {
		for _, method := range []string{http.MethodPut, http.MethodPatch, "BREW"} {
			r, err := http.NewRequestWithContext(t.Context(), method, s.srv.URL+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := s.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close() // the status is what counts
			if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") == "" {
				t.Errorf("%s %s: %s, Allow %q", method, path, resp.Status, resp.Header.Get("Allow"))
			}
		}
	}
	// a notification of the newest protocol needs no header that names its method
	resp := s.post("/mcp", `{"jsonrpc":"2.0","method":"notifications/later","params":{`+in(eraNewest, "$meta()")+`}}`,
		http.Header{"Mcp-Protocol-Version": {eraNewest}})
	if resp.StatusCode != http.StatusAccepted {
		t.Errorf("a notification without Mcp-Method: %s", resp.Status)
	}
	_ = resp.Body.Close() // as above
}

// HTTP+SSE has no protocol 2026-07-28: whoever asks for it learns so, and gets an earlier one.
func TestSSEHasNoNewestProtocol(t *testing.T) {
	for _, fast := range []bool{true, false} {
		c := newSSEClient(t, newGateway(t, directory{}, fast), false)
		c.send(`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{` + in(eraNewest, "$meta()") + `}}`)
		if got := c.await(t, "answer", answered("1")); !strings.Contains(got, `"error"`) {
			t.Errorf("server/discover is answered %s", got)
		}
		c.send(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"callee_echo",` +
			in(eraNewest, "$meta()") + `}}`)
		if got := c.await(t, "answer", answered("2")); !strings.Contains(got, `"error"`) {
			t.Errorf("a call of protocol %s is answered %s", eraNewest, got)
		}
		c.send(`{"jsonrpc":"2.0","id":3,"method":"initialize","params":{"protocolVersion":"` + eraNewest +
			`","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`)
		if got := c.await(t, "answer", answered("3")); !strings.Contains(got, `"protocolVersion":"`+eraLast+`"`) {
			t.Errorf("initialize is answered %s", got)
		}
		c.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
		c.send(`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"callee_echo","arguments":{"a":1}}}`)
		if got := c.await(t, "answer", answered("4")); !strings.Contains(got, `"result"`) {
			t.Errorf("the call after it is answered %s", got)
		}
		c.finish()
	}
}
