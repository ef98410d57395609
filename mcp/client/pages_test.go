package client

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
)

const (
	pageOne = `{"result":{"tools":[{"name":"good","inputSchema":{"type":"object"}}],"nextCursor":"two"}}`
	pageTwo = `{"result":{"tools":[{"name":"late","inputSchema":{"type":"object"}}]}}`
	refusal = `{"error":{"code":-32603,"message":"not now"}}`
)

// A later page of tools that fails, or does not come, costs itself only: the tools before it are
// there at once.
func TestALaterPageOfToolsCostsItselfOnly(t *testing.T) {
	for name, tt := range map[string]struct{ answer, left string }{
		"silence":  {"", "page 2 cannot be read: no answer within 3s (a.key)"},
		"an error": {refusal, "page 2 cannot be read: not now"},
		"no list": {`{"result":{"tools":7}}`,
			"page 2 cannot be read: the answer cannot be understood: the result's tools are a number, not a list"},
	} {
		for way, connect := range map[string]func(*raw, *testing.T, Options) *Session{"stdio": (*raw).stdio,
			"http": (*raw).http, "sse": (*raw).sse} {
			for _, off := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/%v", name, way, !off), func(t *testing.T) {
					t.Parallel() // some wait
					log := &testkit.Buffer{}
					s := connect(newRaw(map[string]string{"tools/list": pageOne, "tools/list two": tt.answer}), t,
						Options{NoFastPath: off, HandshakeTimeout: 3 * time.Second, TimeoutKey: "a.key",
							Logger: slog.New(slog.NewTextHandler(log, nil))})
					if got := mustCall(t, s, "good", nil, nil).Text(); got != "fine" {
						t.Error(got)
					}
					s.Listed(t.Context())
					offered, left := names(s)
					if want := []string{"good", "p", "x://y", "x://{y}"}; !slices.Equal(offered, want) {
						t.Errorf("offered: %q", offered)
					}
					if len(left) != 1 || left[0] != (agent.LeftOut{Kind: "list", Name: "tools/list", Reason: tt.left}) {
						t.Errorf("left out: %+v", left)
					}
					if n := strings.Count(log.String(), "WARN"); n != 1 {
						t.Errorf("%d warnings:\n%s", n, log)
					}
				})
			}
		}
	}
}

// What could not be read of a list is asked for again, less and less often, and said once. What was
// known of it stays.
func TestListsThatFailedAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r1, w1 := io.Pipe()
		r2, w2 := io.Pipe()
		log := &testkit.Buffer{}
		r := newRaw(map[string]string{"tools/list": pageOne, "tools/list two": "", "prompts/list": refusal})
		r.serveOn(pipe{r2, w1})
		changes := 0
		s := overPipes(t, pipe{r1, w2}, Target{Name: "raw"}, Options{PingInterval: -1,
			Logger: slog.New(slog.NewTextHandler(log, nil)), OnChanged: func(agent.Info) { changes++ }})
		offers := func(want string) {
			t.Helper()
			synctest.Wait()
			offered, left := names(s)
			if got := fmt.Sprint(offered, left); got != want {
				t.Errorf("offered and left out:\n got %s\nwant %s", got, want)
			}
		}
		const rest, refused = "x://y x://{y}", "{list prompts/list not now}"
		offers("[good " + rest + "] [{list tools/list the server has not answered for page 2 yet} " + refused + "]")
		<-time.After(10 * time.Second)
		offers("[good " + rest + "] [{list tools/list page 2 cannot be read: no answer within 10s} " + refused + "]")
		<-time.After(time.Hour)
		r.mu.Lock()
		if n := r.asked["prompts/list"]; n < 10 || n > 25 {
			t.Errorf("asked %d times in an hour", n)
		}
		r.mu.Unlock()
		if n := strings.Count(log.String(), "WARN"); n != 2 {
			t.Errorf("%d warnings:\n%s", n, log)
		}
		before := changes
		r.set("prompts/list", `{"result":{"prompts":[]}}`)
		r.set("tools/list two", pageTwo)
		<-time.After(2 * retryWaits.Max)
		offers("[good late " + rest + "] []")
		if changes == before {
			t.Error("nobody was told")
		}
		r.set("tools/list two", refusal)
		r.say(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
		<-time.After(time.Second)
		offers("[good late " + rest + "] [{list tools/list page 2 cannot be read: not now}]")
	})
}

// An entry of a result that nobody can read is left out of it, with one warning.
func TestOddEntriesOfResults(t *testing.T) {
	for way, connect := range map[string]func(*raw, *testing.T, Options) *Session{"stdio": (*raw).stdio,
		"http": (*raw).http, "sse": (*raw).sse} {
		for _, off := range []bool{false, true} {
			log := &testkit.Buffer{}
			s := connect(newRaw(map[string]string{
				"resources/read": `{"result":{"contents":[null,{"uri":"x://y","text":5}]}}`,
				"prompts/get":    `{"result":{"messages":[null,{"role":"user","content":{"type":"text","text":"a"}}]}}`,
				"tools/call":     `{"result":{"content":[null,{"type":"text","text":"a"}]}}`,
			}), t, Options{NoFastPath: off, Logger: slog.New(slog.NewTextHandler(log, nil))})
			for _, tt := range []struct {
				op   agent.Op
				want string
			}{
				{agent.OpResource, `{"contents":[{"uri":"x://y","text":"5"}]}`},
				{agent.OpResource, `{"contents":[{"uri":"x://y","text":"5"}]}`},
				{agent.OpPrompt, `{"messages":[{"role":"user","content":{"type":"text","text":"a"}}]}`},
				{agent.OpTool, `{"content":[{"type":"text","text":"null"},{"type":"text","text":"a"}]}`},
			} {
				res, err := s.Call(t.Context(), &agent.Call{ID: "c", Op: tt.op, Agent: "raw", Name: "x://y",
					Attempt: 1})
				if err != nil || !strings.HasPrefix(string(res.Raw), tt.want[:len(tt.want)-1]) {
					t.Errorf("%s, fast path off %v: %v: %v, %+v", way, off, tt.op, err, res)
				}
			}
			if n := strings.Count(log.String(), "WARN"); n != 3 {
				t.Errorf("%d warnings:\n%s", n, log)
			}
		}
	}
}
