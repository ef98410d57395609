package server

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// newTill is a site with an agent whose tools count how often they ran: one that asks first, and
// one that does not.
func newTill(t *testing.T, o GatewayOptions) *site {
	t.Helper()
	var runs atomic.Int64
	tool := func(name string, asks bool) agent.Tool {
		return agent.NewTool(name, "takes money", func(ctx context.Context, w fixture.Word) (string, error) {
			n := runs.Add(1)
			if !asks {
				return fmt.Sprint("run ", n), nil
			}
			a, err := agent.Elicit[fixture.Word](ctx, "pay "+w.Word+"?")
			return fmt.Sprint("run ", n, " ", a.Word), err
		})
	}
	dir := &fixture.Crew{}
	dir.Add(t, "till", agent.Capabilities{Tools: []agent.Tool{tool("charge", false), tool("confirm", true)}})
	return newSite(t, dir, o)
}

// In the version without sessions and questions, a key counts among the calls of its user, and
// stands for the call with the answers that it has.
func TestKeysWithoutASession(t *testing.T) {
	s := newTill(t, GatewayOptions{Options: Options{Identify: tokens}})
	var first, other string // states
	for _, tt := range []struct {
		name, token, tool, word, key string
		state                        *string // to be sent, with yes as the answer
		answer                       string
		want                         string // the text, or a part of the error
		asked                        *string
	}{
		{name: "first", token: "ann", tool: "charge", word: "5", key: "k", want: "run 1"},
		{name: "again", token: "ann", tool: "charge", word: "5", key: "k", want: "run 1"},
		{name: "other arguments", token: "ann", tool: "charge", word: "6", key: "k", want: "invalid_argument"},
		{name: "somebody else", token: "bob", tool: "charge", word: "5", key: "k", want: "run 2"},
		{name: "no key", token: "ann", tool: "charge", word: "5", want: "run 3"},
		{name: "one that asks", token: "ann", tool: "confirm", word: "5", key: "q", asked: &first},
		{name: "its question is lost", token: "ann", tool: "confirm", word: "5", key: "q", asked: &first},
		{name: "the answer", token: "ann", tool: "confirm", word: "5", key: "q", state: &first, answer: "yes",
			want: "run 4 yes"},
		{name: "its result is lost", token: "ann", tool: "confirm", word: "5", key: "q", state: &first, answer: "yes",
			want: "run 4 yes"},
		{name: "another answer", token: "ann", tool: "confirm", word: "5", key: "q", state: &first, answer: "no",
			want: "run 4 yes"},
		{name: "asked once more", token: "ann", tool: "confirm", word: "5", key: "q", asked: &other},
	} {
		params := map[string]any{"name": "till_" + tt.tool, "arguments": fixture.Word{Word: tt.word}}
		if tt.key != "" {
			params["key"] = tt.key
		}
		if tt.state != nil {
			state, id, _ := strings.Cut(*tt.state, " ")
			params["requestState"] = state
			params["inputResponses"] = map[string]any{id: map[string]any{"action": "accept",
				"content": fixture.Word{Word: tt.answer}}}
		}
		a := answerOf(t, s.stateless(t, tt.token, "tools/call", params, elicits))
		if tt.asked != nil {
			if a.Result.Type != "input_required" || len(a.Result.Requests) != 1 {
				t.Fatalf("%s: %+v", tt.name, a)
			}
			for id := range maps.Keys(a.Result.Requests) {
				*tt.asked = a.Result.State + " " + id
			}
			continue
		}
		if a.Error != nil || len(a.Result.Content) != 1 || !strings.Contains(a.Result.Content[0].Text, tt.want) {
			t.Errorf("%s: %+v, want %s", tt.name, a, tt.want)
		}
	}
}

// The keys of an anonymous client count for its session, and not where it has none.
func TestKeysOfAnonymousClients(t *testing.T) {
	s := newTill(t, GatewayOptions{})
	long := strings.Repeat("k", agent.MaxKey)
	runs := 0
	for _, w := range everyClient() {
		t.Run(w.String(), func(t *testing.T) {
			one, two := s.join(t, w, nil), s.join(t, w, nil)
			charge := func(cs *sdk.ClientSession, key string) string {
				res, err := cs.CallTool(t.Context(), &sdk.CallToolParams{Meta: sdk.Meta{codec.MetaKey: key},
					Name: "till_charge", Arguments: fixture.Word{Word: "5"}})
				if err != nil {
					return err.Error()
				}
				return fixture.TextOf(res)
			}
			lasts := w.transport != mcp.Streamable || w.version != ""
			seen := map[string]string{}
			for _, step := range []struct {
				cs   *sdk.ClientSession
				call string
				key  string
			}{{one, "first", "k"}, {one, "first", "k"}, {two, "of another session", "k"}, {one, "another", "l"},
				{one, "with a long key", long}, {one, "with a long key", long}, {one, "with another", long[1:]}} {
				want, again := seen[step.call]
				if !again || !lasts {
					runs++
					want = fmt.Sprint("run ", runs)
					seen[step.call] = want
				}
				if got := charge(step.cs, step.key); got != want {
					t.Errorf("%s: %s, want %s", step.call, got, want)
				}
			}
			if got := charge(one, long+"k"); !strings.Contains(got, "257 bytes") {
				t.Error(got)
			}
		})
	}
}

// The header Idempotency-Key is that of each POST, on both transports and without a session, with
// the fast path and without: the same key and arguments give the result that is kept.
func TestKeysInHeaders(t *testing.T) {
	for _, off := range []bool{false, true} {
		s := newTill(t, GatewayOptions{Options: Options{Identify: tokens, NoFastPath: off}})
		charge := func(id int, word string) string {
			return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"till_charge",`+
				`"arguments":{"word":%q}}}`, id, word)
		}
		with := func(h map[string]string, key string) map[string]string {
			h = maps.Clone(h)
			h["Authorization"], h["Idempotency-Key"] = "Bearer ann", key
			return h
		}
		streamable := s.dial(t, "", codec.Version20251125)
		_, stream := s.openSSE(t, "ann")
		sse := beginSSE(t, s.url, stream.Body, map[string]string{"Authorization": "Bearer ann"})
		posts := map[string]func(id int, word, key string) string{
			"http": func(id int, word, key string) string {
				_, _, body := send(t, "POST", streamable.url, with(streamable.header, key), charge(id, word))
				return body
			},
			"sse": func(id int, word, key string) string {
				status, _, body := send(t, "POST", sse.endpoint, with(streamableHeaders(nil), key), charge(id, word))
				if status != 202 {
					return body
				}
				return sse.event(fmt.Sprintf(`"id":%d,`, id))
			},
		}
		id := 10
		for _, step := range []struct{ transport, word, key, want string }{
			{"http", "5", "k", "run 1"}, {"http", "5", `"k"`, "run 1"}, {"sse", "5", "k", "run 1"},
			{"http", "6", "k", "invalid_argument"}, {"sse", "6", "k", "invalid_argument"},
			{"sse", "5", "l", "run 2"}, {"http", "5", "l", "run 2"},
			{"http", "5", strings.Repeat("k", 257), "257 bytes"},
			{"sse", "5", strings.Repeat("k", 5000), "Idempotency-Key"},
			{"http", "5", `""`, "Idempotency-Key"},
		} {
			id++
			if got := posts[step.transport](id, step.word, step.key); !strings.Contains(got, step.want) {
				t.Errorf("%s, %s with %.20s, fast path %v: %.300s, want %s", step.transport, step.word, step.key, !off,
					got, step.want)
			}
		}
	}
}
