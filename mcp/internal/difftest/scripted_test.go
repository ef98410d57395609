package difftest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The protocol's eras.
const (
	era2024   = "2024-11-05"
	eraMarch  = "2025-03-26"
	eraJune   = "2025-06-18"
	eraLast   = "2025-11-25"
	eraNewest = "2026-07-28"
)

// A script is what the scripted server says in answer to a call of its tool "do": the arguments of
// the call. In each message $id stands for the id of the request, as it came, $float for the id as
// a number with a fraction, $exp as one with an exponent, $string as a string, and $token for its
// progress token.
type script struct {
	Say [][]byte `json:"say"`
	// Over streamable HTTP: Status of the response; JSON: it is the first message, not a stream of
	// events.
	Status int               `json:"status,omitempty"`
	JSON   bool              `json:"json,omitempty"`
	Header map[string]string `json:"header,omitempty"`
	// Over stdio: the program ends then.
	Exit bool `json:"exit,omitempty"`

	ends bool // so does the session, which may be a moment after the call
	// Ask is a question: the call is answered with what it is answered with.
	Ask *question `json:"ask,omitempty"`
}

type question struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// A scripted is a server without an SDK, with every byte under control. It speaks one version of
// the protocol.
type scripted struct {
	version string
	mu      sync.Mutex
	got     []json.RawMessage // since it was last asked with its tool "got"
	asker   json.RawMessage   // the call that has asked something
	follows chan []byte       // its answer, for the response to it
}

type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Name      string          `json:"name"`
		Arguments script          `json:"arguments"`
		Inputs    json.RawMessage `json:"inputResponses"`
		Meta      struct {
			Token json.RawMessage `json:"progressToken"`
		} `json:"_meta"`
	} `json:"params"`
}

const toolList = `{"tools":[{"name":"do","inputSchema":{"type":"object"}},` +
	`{"name":"got","inputSchema":{"type":"object"}}],"resultType":"complete","ttlMs":0,"cacheScope":"private"}`

// answer is what is said to one message.
func (s *scripted) answer(raw []byte) script {
	var m message
	if err := json.Unmarshal(raw, &m); err != nil {
		return script{} // the client sends no such thing
	}
	say := func(member, value string) script {
		return script{Say: [][]byte{fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"%s":%s}`, m.ID, member, value)}}
	}
	result := func(text string) script { return say("result", text) }
	if _, err := strconv.ParseInt(string(m.ID), 10, 32); err != nil && len(m.ID) > 0 && m.Method != "" {
		// as servers that keep ids in 32 bits
		return script{Say: [][]byte{[]byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no such id"}}`)}}
	}
	switch m.Method {
	case "initialize":
		return result(`{"protocolVersion":"` + s.version + `","capabilities":{"tools":{},"logging":{}},` +
			`"serverInfo":{"name":"scripted","version":"1"}}`)
	case "server/discover":
		if s.version == eraNewest {
			return result(`{"resultType":"complete","supportedVersions":["` + eraNewest + `"],` +
				`"capabilities":{"tools":{},"logging":{}},"ttlMs":0,"cacheScope":"private"}`)
		}
		return say("error", `{"code":-32601,"message":"no such method"}`)
	case "tools/list":
		return result(toolList)
	case "tools/call":
		if m.Params.Name == "got" {
			return result(`{"content":[],"structuredContent":{"got":` + s.taken() + `},"resultType":"complete"}`)
		}
	}
	s.mu.Lock()
	s.got = append(s.got, bytes.Clone(raw))
	s.mu.Unlock()
	switch {
	case m.Method == "tools/call" && m.Params.Arguments.Ask != nil:
		return s.ask(m)
	case m.Method == "":
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.asker != nil {
			return script{Say: [][]byte{fmt.Appendf(nil,
				`{"jsonrpc":"2.0","id":%s,"result":{"content":[],"structuredContent":{"got":%s}}}`, s.asker, raw)}}
		}
	case m.Method == "tools/call":
		out := m.Params.Arguments
		for i := range out.Say {
			out.Say[i] = fill(out.Say[i], m)
		}
		return out
	case m.ID != nil && m.Method != "":
		return result("{}")
	}
	return script{}
}

// ask is what a call says that asks first, or is made again with the answer.
func (s *scripted) ask(m message) script {
	q := m.Params.Arguments.Ask
	say := func(format string, args ...any) script {
		return script{Say: [][]byte{fmt.Appendf(nil, format, args...)}, Ask: q}
	}
	switch {
	case s.version != eraNewest:
		s.mu.Lock()
		s.asker = m.ID
		s.mu.Unlock()
		return say(`{"jsonrpc":"2.0","id":"q","method":%q,"params":%s}`, q.Method, q.Params)
	case m.Params.Inputs == nil:
		return say(`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"input_required","requestState":"s","inputRequests":`+
			`{"q":{"method":%q,"params":%s}}}}`, m.ID, q.Method, q.Params)
	}
	return say(`{"jsonrpc":"2.0","id":%s,"result":{"content":[],"resultType":"complete","structuredContent":{"got":%s}}}`,
		m.ID, m.Params.Inputs)
}

func fill(template []byte, m message) []byte {
	n, _ := strconv.ParseInt(string(m.ID), 10, 64) // 0: not a number
	return []byte(strings.NewReplacer("$id", string(m.ID), "$float", string(m.ID)+".0", "$string",
		strconv.Quote(strings.Trim(string(m.ID), `"`)), "$exp", strconv.FormatFloat(float64(n), 'e', -1, 64),
		"$token", string(m.Params.Meta.Token)).Replace(string(template)))
}

// taken is what came since, as a JSON array.
func (s *scripted) taken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := json.Marshal(s.got)
	if err != nil || s.got == nil {
		b = []byte("[]")
	}
	s.got = nil
	return string(b)
}

// serveStdin is the scripted server as a program.
func serveStdin(version string) (code int) {
	s := &scripted{version: version}
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return 0
		}
		answer := s.answer(bytes.TrimSpace(line))
		for _, say := range answer.Say {
			if _, err := os.Stdout.Write(append(say, '\n')); err != nil {
				return 1
			}
		}
		if answer.Exit {
			return 3
		}
	}
}

// serveHTTP is the scripted server over HTTP: streamable at /mcp, HTTP+SSE at /sse.
func (s *scripted) serveHTTP(t testing.TB) string {
	out := make(chan []byte, 100) // what is said on the one stream of SSE
	s.follows = make(chan []byte, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /mcp", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if !bytes.Contains(body, []byte(eraNewest)) {
			w.Header().Set("Mcp-Session-Id", "the-session")
		}
		say := s.answer(body)
		if s.follows != nil && !bytes.Contains(body, []byte(`"method"`)) {
			for _, m := range say.Say {
				s.follows <- m
			}
			say.Say = nil
		}
		switch {
		case len(say.Say) == 0 && say.Status == 0:
			w.WriteHeader(http.StatusAccepted)
			return
		case say.JSON:
			w.Header().Set("Content-Type", "application/json")
		default:
			w.Header().Set("Content-Type", "text/event-stream")
		}
		for k, v := range say.Header {
			w.Header().Set(k, v)
		}
		if say.Status != 0 {
			w.WriteHeader(say.Status)
		}
		for _, m := range say.Say {
			if say.JSON {
				_, _ = w.Write(m)
				return
			}
			writeEvent(w, m)
		}
		if say.Ask != nil && s.version != eraNewest {
			select {
			case m := <-s.follows:
				writeEvent(w, m)
			case <-r.Context().Done():
			}
		}
	})
	mux.HandleFunc("/mcp", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) })
	mux.HandleFunc("GET /sse", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "event: endpoint\ndata: /messages/\n\n")
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case m := <-out:
				writeEvent(w, m)
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("POST /messages/", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.WriteHeader(http.StatusAccepted)
		_ = http.NewResponseController(w).Flush()
		for _, m := range s.answer(body).Say {
			select {
			case out <- m:
			case <-r.Context().Done():
			}
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

// writeEvent writes a message as an event: a line of data for each of its lines.
func writeEvent(w http.ResponseWriter, msg []byte) {
	var errs []error
	for line := range bytes.SplitSeq(msg, []byte{'\n'}) {
		_, err := fmt.Fprintf(w, "data: %s\n", line)
		errs = append(errs, err)
	}
	_, err := io.WriteString(w, "\n")
	_ = errors.Join(append(errs, err, http.NewResponseController(w).Flush())...) // the client may be gone
}
