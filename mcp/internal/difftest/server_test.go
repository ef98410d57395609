package difftest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/server"
)

var metaPattern = regexp.MustCompile(`\$meta\(([^)]*)\)`)

const newestMeta = `"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
	`"io.modelcontextprotocol/clientInfo":{"name":"raw","version":"1"},` +
	`"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}},"sampling":{},"roots":{}}`

// in is the message of a case, in the words of a version.
func in(version, msg string) string {
	return metaPattern.ReplaceAllStringFunc(msg, func(m string) string {
		members := metaPattern.FindStringSubmatch(m)[1]
		if version == eraNewest {
			members = strings.TrimSuffix(newestMeta+","+members, ",")
		}
		return `"_meta":{` + members + `}`
	})
}

// join opens a session with a new server.
func (w way) join(t testing.TB, trusted bool) (c rawClient) {
	return w.joinGateway(t, newGateway(t, directory{}, w.fast), trusted)
}

func (w way) joinGateway(t testing.TB, g *server.Gateway, trusted bool) (c rawClient) {
	switch w.transport {
	case mcp.Stdio:
		c = newLineClient(t, g, w.fast, trusted)
	case mcp.SSE:
		c = newSSEClient(t, g, trusted)
	default:
		c = newStreamableClient(t, g, trusted, w.version)
	}
	if w.version == eraNewest {
		c.send(`{"jsonrpc":"2.0","id":"hi","method":"server/discover","params":{` + in(w.version, "$meta()") + `}}`)
		c.await(t, "answer", answered(`"hi"`))
		return c
	}
	c.send(`{"jsonrpc":"2.0","id":"hi","method":"initialize","params":{"protocolVersion":"` + w.version +
		`","capabilities":{"elicitation":{},"sampling":{},"roots":{}},"clientInfo":{"name":"raw","version":"1"}}}`)
	c.await(t, "answer", answered(`"hi"`))
	c.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	c.send(`{"jsonrpc":"2.0","id":"ho","method":"ping"}`) // the handshake is over when it is answered
	c.await(t, "answer", answered(`"ho"`))
	return c
}

// pending is a request: its id, and how a message begins that says that it was refused.
type pending struct{ id, refused string }

// converse has one conversation with a new server. After the handshake say has a message on each
// line. A line "await TEXT" waits for a message that holds the text, "over http await TEXT" does
// where messages overtake each other; "answer METHOD: MESSAGE" sends the message in answer to the
// server's request of that method, whose id $id stands for. $meta(…) stands for the `_meta` of the
// protocol with these members.
func (w way) converse(t testing.TB, trusted bool, say string) (said []string, fast int64) {
	c := w.join(t, trusted)
	if trusted && w.transport == mcp.Stdio { // it is no gateway's
		say = strings.ReplaceAll(say, "callee_", "")
	}
	if w.transport != mcp.Streamable || w.version != eraNewest { // which cancels by closing the connection only
		say = strings.ReplaceAll(say, `"openmas/timeout":3000)`, `"openmas/timeout":30000)`)
	}
	var calls []pending
	for line := range strings.SplitSeq(say, "\n") {
		switch {
		case strings.HasPrefix(line, "over http await "):
			if w.transport == mcp.Streamable && w.version != eraNewest {
				c.await(t, line, holds(strings.TrimPrefix(line, "over http await ")))
			}
		case strings.HasPrefix(line, "await "):
			c.await(t, line, holds(strings.TrimPrefix(line, "await ")))
		case strings.HasPrefix(line, "answer "):
			kind, result, _ := strings.Cut(strings.TrimPrefix(line, "answer "), ": ")
			var m message
			asked := c.await(t, kind, func(msg string) bool { // with protocol 2026-07-28 the call has ended
				return holds(kind)(msg) || answered("1")(msg)
			})
			if err := json.Unmarshal([]byte(asked), &m); err != nil {
				t.Fatal(err)
			}
			if m.Method == kind {
				c.send(strings.ReplaceAll(result, "$id", string(m.ID)))
			}
		default:
			line = in(w.version, line)
			c.send(line)
			if id := requestIn(line); id != "" {
				calls = append(calls, pending{id, fmt.Sprintf("status of message %d:", c.messages())})
			}
			calls = slices.DeleteFunc(calls, func(call pending) bool { return cancelsIn(line, call.id) }) // no answer
		}
	}
	for _, call := range calls {
		c.await(t, "answer to "+call.id, func(msg string) bool {
			return answered(call.id)(msg) || strings.HasPrefix(msg, call.refused)
		})
	}
	if w.version == eraNewest { // what was said before its answer has come
		c.send(`{"jsonrpc":"2.0","id":"bye","method":"server/discover","params":{` + in(w.version, "$meta()") + `}}`)
	} else {
		c.send(`{"jsonrpc":"2.0","id":"bye","method":"ping"}`)
	}
	c.await(t, "end", answered(`"bye"`))
	return c.finish(), c.fast()
}

// answered is true for answers to a request.
func answered(id string) func(string) bool {
	return func(msg string) bool {
		var m message
		return json.Unmarshal([]byte(msg), &m) == nil && string(m.ID) == id && m.Method == ""
	}
}

// requestIn is the id of the request in a message, as the answer will have it; empty where there
// surely is none. Requests are served side by side: the answer to a later one says nothing about
// it, and a client that leaves before its answer loses that.
func requestIn(msg string) string {
	var m struct {
		Tag    string          `json:"jsonrpc"`
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	// The SDK reads no further than the first message either.
	if json.NewDecoder(strings.NewReader(msg)).Decode(&m) != nil || m.Tag != "2.0" || m.Method == "" ||
		len(m.ID) == 0 || m.ID[0] != '"' && m.ID[0] > '9' {
		return ""
	}
	return string(m.ID)
}

// cancelsIn reports whether a message cancels a call.
func cancelsIn(msg, call string) bool {
	var m struct {
		Method string `json:"method"`
		Params struct {
			ID json.RawMessage `json:"requestId"`
		} `json:"params"`
	}
	if json.Unmarshal([]byte(msg), &m) != nil || m.Method != "notifications/cancelled" {
		return false
	}
	id := string(m.Params.ID)
	return id == call || len(call) < 10 && canon([]byte(strings.TrimSuffix(id, ".0"))) == canon([]byte(call))
}

// order is what a server has said, without what differs from way to way: answers come when they are
// ready, but what is said about one call comes in order.
func order(said []string) string {
	about := map[string][]string{}
	for _, raw := range said {
		var m struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
			Params struct {
				Token json.RawMessage `json:"progressToken"`
			} `json:"params"`
		}
		if raw[0] == '[' {
			raw = sorted(raw)
		}
		key := raw
		if json.Unmarshal([]byte(raw), &m) == nil {
			if m.Method == "notifications/cancelled" {
				continue // of a question whose call has ended: it may be lost
			}
			key = fmt.Sprint(m.Method, " ", string(m.Params.Token))
			if m.Method == "" {
				key = string(m.ID)
			}
		}
		about[key] = append(about[key], plainly(raw, m.Method != ""))
	}
	var out []string
	for k, v := range about {
		if !strings.Contains(v[0], `"method":`) {
			slices.Sort(v) // two answers with one id
		}
		out = append(out, k+"\n    "+strings.Join(v, "\n    "))
	}
	slices.Sort(out)
	return strings.Join(out, "\n  ")
}

// sorted puts the answers of a batch in order.
func sorted(batch string) string {
	var items []json.RawMessage
	if json.Unmarshal([]byte(batch), &items) != nil {
		return batch
	}
	slices.SortFunc(items, func(a, b json.RawMessage) int { return strings.Compare(string(a), string(b)) })
	return encode(items)
}

// madeUp are ids and states that are new each time.
var madeUp = regexp.MustCompile(`"(openmas/id|requestState)":"[^"]*"`)

// questionID is the id of a question with protocol 2026-07-28.
var questionID = regexp.MustCompile(`"(elicit|sample|roots)-[A-Za-z0-9_-]+"`)

// decoderSays is what the two decoders of JSON have different words for.
var decoderSays = regexp.MustCompile(`(calling \\"[a-z/]*\\": )?json: [^,}]*`)

// plainly is a message without what is new each time.
func plainly(raw string, question bool) string {
	msg := madeUp.ReplaceAllString(canon([]byte(raw)), `"$1":"…"`)
	msg = questionID.ReplaceAllString(msg, `"$1-…"`)
	msg = decoderSays.ReplaceAllString(msg, "json: …")
	if question {
		msg = withoutIDs(msg)
	}
	return msg
}

// What a client says is answered in the same way with the fast path and without.
func TestServersAnswerTheSame(t *testing.T) {
	for _, w := range clientWays() {
		if w.json {
			continue
		}
		for _, trusted := range []bool{false, true} {
			if trusted && w.version < eraLast {
				continue // whom a server believes does not depend on the version
			}
			t.Run(fmt.Sprintf("%s trusted=%v", w, trusted), func(t *testing.T) {
				t.Parallel()
				for name, c := range requestCases(t) {
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						var both [2]string
						w := w
						for i := range both {
							w.fast = i == 0
							said, fast := w.converse(t, trusted, c.say)
							both[i] = order(said)
							least := int64(c.options["fast"])
							if w.transport == mcp.Stdio && trusted {
								continue // the counter is a gateway's
							}
							if i == 0 && fast < least || i == 1 && fast != 0 {
								t.Errorf("fast %v: %d calls took the fast path", w.fast, fast)
							}
						}
						if both[0] != both[1] {
							t.Errorf("with the fast path\n  %s\nand without\n  %s", both[0], both[1])
						}
					})
				}
			})
		}
	}
}
