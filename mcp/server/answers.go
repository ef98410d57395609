package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/mcp/internal/budget"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/rawjson"
	"github.com/openmas/openmas/mcp/internal/wire"
)

var jsonType = []string{"application/json"} // not changed

// answerWriter is the response to a POST that the SDK serves. It returns the request's id as the
// client wrote it, leaves the answer out once the client has cancelled the request, and makes a
// JSON-RPC message of what the SDK refuses in plain text.
type answerWriter struct {
	http.ResponseWriter
	env       wire.Envelope  // the request as the SDK gets it; empty: a batch, or something else
	memory    *budget.Budget // of the session, for what is written
	cancelled atomic.Bool
	refusal   *bytes.Buffer // the text of a refusal; nil: there is none
	body      []byte        // as it was posted; nil: nothing was
}

// prepare makes the message of a POST, nil if there is none, readable for the SDK.
func (a *answerWriter) prepare(r *http.Request, body []byte, open func(id string) bool) {
	a.body = body
	restoreBody(r, a.hideID(body, open))
	r.Header.Del(wire.IDHeader)
	if a.env.Method != nil && a.env.ID != nil {
		r.Header[wire.IDHeader] = []string{a.env.IDText()}
	}
}

// hideID prepares the message itself.
func (a *answerWriter) hideID(body []byte, open func(id string) bool) []byte {
	if a.env.Scan(body) {
		if mendRequest(&a.env) {
			body = a.env.Encode()
		}
		return a.env.HideID(body, open)
	}
	a.env = wire.Envelope{}
	if wire.Refusal(body) != nil {
		return []byte("?") // the SDK would take the first of two messages; what is wrong, finish says
	}
	if len(body) > 0 && body[0] != '[' { // written in an unusual way
		wire.Messages(body, func(_ []byte, env *wire.Envelope) {
			if mendRequest(env) {
				body = env.Encode()
			}
			a.env = *env
		}, func([]byte, error) {})
	}
	return body
}

const (
	methodInitialize = "initialize"
	methodPrompt     = "prompts/get"
	methodRead       = "resources/read"
)

// mendRequest gives a request params that the SDK can decode. A client's handshake gets what it
// surely means, where a member of it has the wrong type: the SDK would refuse the client for it.
// The answers to questions pass as they came, and what is odd is for receive to refuse.
func mendRequest(env *wire.Envelope) (mended bool) {
	method, params := string(env.Method), env.Params
	switch method {
	case "":
		return false
	case methodInitialize:
		if mended, odd := codec.MendClient(params); len(odd) > 0 {
			env.Params = mended
		}
	case codec.MethodCall, methodPrompt, methodRead:
		env.Params = codec.CarryInputs(params)
	}
	env.Params, _ = codec.CheckParams(method, env.Params)
	return !bytes.Equal(params, env.Params)
}

// mend does so, and lets the answer to a question pass through the SDK as it came.
func mend(env *wire.Envelope) {
	if env.Method == nil && env.Result != nil {
		env.Result = codec.Carry(env.Result)
	}
	mendRequest(env)
}

// cancels is the id of the request that a message cancels, as JSON; empty: it is something else.
func (a *answerWriter) cancels() string {
	var params struct {
		ID any `json:"requestId"`
	}
	if string(a.env.Method) != wire.MethodCancelled || a.env.ID != nil || json.Unmarshal(a.env.Params, &params) != nil {
		return ""
	}
	return codec.RequestKey(params.ID)
}

// Unwrap leads http.ResponseController to Flush.
func (a *answerWriter) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (a *answerWriter) WriteHeader(status int) {
	if status == http.StatusBadRequest && a.body != nil &&
		strings.HasPrefix(a.Header().Get("Content-Type"), "text/plain") {
		a.refusal = new(bytes.Buffer)
		return
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter]. The SDK writes an event, or a body, at a time.
func (a *answerWriter) Write(b []byte) (int, error) {
	if a.refusal != nil {
		return a.refusal.Write(b)
	}
	if a.cancelled.Load() && a.answers(b) {
		return len(b), nil
	}
	a.memory.Take(len(b))
	defer a.memory.Release(len(b))
	before, msg, event := bytes.Cut(b, []byte("\ndata: "))
	if !event {
		msg = b
	}
	shown := wire.ShowError(wire.ShowID(msg))
	if len(shown) == len(msg) {
		return a.ResponseWriter.Write(b)
	}
	if event {
		shown = append(append(append([]byte{}, before...), "\ndata: "...), shown...)
	}
	if _, err := a.ResponseWriter.Write(shown); err != nil {
		return 0, err
	}
	return len(b), nil
}

// answers reports whether an event is the answer to the request.
func (a *answerWriter) answers(event []byte) bool {
	_, msg, ok := bytes.Cut(event, []byte("\ndata: "))
	var env wire.Envelope
	return ok && env.Scan(bytes.TrimSpace(msg)) && env.Method == nil && bytes.Equal(env.ID, a.env.ID)
}

// finish sends what was held back: a notification is never answered, a call always.
func (a *answerWriter) finish() {
	if a.refusal == nil {
		return
	}
	text := strings.TrimSpace(a.refusal.String())
	if strings.HasPrefix(text, malformed) {
		if msg := wire.Refusal(a.body); msg != nil {
			a.Header()["Content-Type"] = jsonType
			a.ResponseWriter.WriteHeader(http.StatusBadRequest)
			_, _ = a.ResponseWriter.Write(msg) // a client that is gone misses nothing
			return
		}
	}
	code, status := refusedCode(text), http.StatusBadRequest
	if code == 0 || a.env.Method == nil {
		http.Error(a.ResponseWriter, text, status) // the transport's affair, not the message's
		return
	}
	if a.env.ID == nil {
		a.Header().Del("Content-Type")
		a.Header().Del("X-Content-Type-Options")
		a.ResponseWriter.WriteHeader(http.StatusAccepted)
		return
	}
	if code == jsonrpc.CodeMethodNotFound {
		status = http.StatusOK
	}
	refuseRequest(a.ResponseWriter, &a.env, status, code, text)
}

// refuseRequest answers a request with an error of the protocol.
func refuseRequest(w http.ResponseWriter, env *wire.Envelope, status int, code int64, text string) {
	msg, err := json.Marshal(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   jsonrpc.Error   `json:"error"`
	}{"2.0", env.ID, jsonrpc.Error{Code: code, Message: text}})
	if err != nil {
		http.Error(w, text, status)
		return
	}
	w.Header()["Content-Type"] = jsonType
	w.WriteHeader(status)
	_, _ = w.Write(wire.ShowID(msg)) // a client that is gone misses nothing
}

// answerIndex finds the responses of a session by the ids of their requests, as JSON.
type answerIndex struct {
	mu   sync.Mutex
	byID map[string]*answerWriter
}

// add notes a response until done is called.
func (x *answerIndex) add(a *answerWriter) (done func()) {
	id := string(a.env.ID)
	x.mu.Lock()
	defer x.mu.Unlock()
	if id == "" || x.byID[id] != nil {
		return func() {}
	}
	if x.byID == nil {
		x.byID = map[string]*answerWriter{}
	}
	x.byID[id] = a
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		delete(x.byID, id)
	}
}

// open reports whether there is a response to a request whose id is a string.
func (x *answerIndex) open(id string) bool {
	raw := rawjson.AppendQuote(nil, id)
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.byID[string(raw)] != nil
}

// cancel lets a request have no answer.
func (x *answerIndex) cancel(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if a := x.byID[id]; a != nil {
		a.cancelled.Store(true)
	}
}
