package difftest

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
)

// says is a script of messages.
func says(messages ...string) (sc script) {
	for _, m := range messages {
		sc.Say = append(sc.Say, []byte(m))
	}
	return sc
}

const hi = `{"jsonrpc":"2.0","id":$id,"result":{"content":[{"type":"text","text":"hi"}]}}`

// lineCases are what only a program on stdio says: other bytes, and its end.
func lineCases() map[string]script {
	exits := func(sc script) script { sc.Exit = true; return sc }
	return map[string]script{
		"a line end of Windows":     says(hi + "\r"),
		"a byte order mark":         says("\xef\xbb\xbf" + hi),
		"space around":              says(" \t" + hi + "  "),
		"empty lines":               says("", "\r", hi),
		"lines of a log":            says("INFO begun", "\x1b[32mready\x1b[0m", `"quoted"`, "[1,2,3]", "null", "42", hi),
		"an answer after an answer": says(hi, hi),
		"an end after the answer":   exits(says(hi)),
		"an end without an answer":  exits(says()),
		"an end within the answer":  exits(says(hi[:62])),
		"an end after a log":        exits(says("panic: no")),
	}
}

// postCases are what only a server of streamable HTTP says: a status, a type, an end.
func postCases() map[string]script {
	with := func(status int, media string, sc script) script {
		sc.Status, sc.JSON = status, true
		if media != "" {
			sc.Header = map[string]string{"Content-Type": media}
		}
		return sc
	}
	cases := map[string]script{
		"nothing":            with(200, "", says("")),
		"accepted":           with(202, "", says("")),
		"no content":         with(204, "", says()),
		"text":               with(200, "text/plain", says("hello")),
		"HTML":               with(200, "text/html; charset=utf-8", says("<html>")),
		"JSON, but not RPC":  with(200, "", says(`{"error":"no"}`)),
		"JSON with a type":   with(200, "application/json; charset=utf-8", says(hi)),
		"no type":            with(200, "none/", says(hi)),
		"an empty stream":    {Status: 200},
		"half a stream":      {Status: 200, Say: [][]byte{[]byte(`{"jsonrpc":"2.0","method":"later"}`)}},
		"a null id":          with(200, "", says(`{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no such id"}}`)),
		"another id":         with(200, "", says(`{"jsonrpc":"2.0","id":99999,"result":{"content":[]}}`)),
		"a batch of a null":  with(200, "", says(`[null]`)),
		"a status with JSON": with(400, "", says(`{"jsonrpc":"2.0","id":$id,"error":{"code":-32602,"message":"bad"}}`)),
		"a status with ours": with(503, "", says(`{"jsonrpc":"2.0","id":$id,"error":{"code":-32603,"message":"m",`+
			`"data":{"openmas/error":{"code":"resource_exhausted","message":"x"}}}}`)),
		"a result with a status": with(500, "", says(`{"jsonrpc":"2.0","id":3,"result":{"content":[]}}`)),
	}
	cases["retry after"] = script{Status: 429, JSON: true, Say: [][]byte{[]byte("later")},
		Header: map[string]string{"Content-Type": "text/plain", "Retry-After": "7"}}
	for _, status := range []int{400, 401, 403, 404, 405, 409, 410, 413, 500, 501, 502, 503, 504} {
		cases[fmt.Sprint("status ", status)] = with(status, "text/plain", says("no"))
	}
	return cases
}

// What belongs to one transport means the same with the fast path and without.
func TestTransportsMeanTheSame(t *testing.T) {
	for _, w := range clientWays() {
		cases := postCases()
		switch {
		case w.transport == mcp.Stdio:
			cases = lineCases()
		case w.transport == mcp.SSE || w.json:
			continue // what there is to say, the answers say
		}
		t.Run(w.String(), func(all *testing.T) {
			all.Parallel()
			urls := [2]string{w.serve(all), w.serve(all)}
			for name, sc := range cases {
				sc.ends = sc.Exit || sc.Status == http.StatusNotFound && w.version != eraNewest
				all.Run(name, func(t *testing.T) {
					var sessions [2]*client.Session // which many of these end
					defer func() { closeSession(sessions[0]); closeSession(sessions[1]) }()
					both := w.tryBoth(t, &sessions, urls, sc, 0)
					if d := both[0].differs(both[1]); d != "" {
						t.Errorf("with the fast path and without, %s", d)
					}
					if both[0].fast != 1 || both[1].fast != 0 {
						t.Errorf("%d and %d calls took the fast path", both[0].fast, both[1].fast)
					}
				})
			}
		})
	}
}
