package difftest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
)

// hang bounds what does not take long.
const hang = 10 * time.Second

// end is the answer that ends every script which has no better one.
const end = `{"jsonrpc":"2.0","id":$id,"result":{"content":[{"type":"text","text":"the end"}]}}`

// A way is one of our clients' ways to a server, with the fast path or without.
type way struct {
	transport mcp.Transport
	version   string
	fast      bool
	json      bool // streamable HTTP: answers are no streams
}

func (w way) String() string {
	name := fmt.Sprintf("%s %s", w.transport, w.version)
	if w.json {
		name += " JSON"
	}
	return name
}

func clientWays() (all []way) {
	for _, v := range []string{era2024, eraMarch, eraJune, eraLast, eraNewest} {
		if testing.Short() && v < eraLast {
			continue
		}
		if !testing.Short() { // which starts no processes
			all = append(all, way{transport: mcp.Stdio, version: v})
		}
		if v != eraNewest {
			all = append(all, way{transport: mcp.SSE, version: v})
		}
		if v != era2024 {
			all = append(all, way{transport: mcp.Streamable, version: v},
				way{transport: mcp.Streamable, version: v, json: true})
		}
	}
	return all
}

// serve starts a scripted server for one session at a time, unless open does.
func (w way) serve(t testing.TB) (url string) {
	if w.transport == mcp.Stdio {
		return ""
	}
	return (&scripted{version: w.version}).serveHTTP(t)
}

// open opens a session to a scripted server. Its owner closes it with end.
func (w way) open(url string) (*client.Session, error) {
	target := client.Target{Name: "scripted", Transport: w.transport, URL: url}
	if w.version == eraNewest {
		target.Protocol = eraNewest
	}
	if w.transport == mcp.Stdio {
		exe, err := os.Executable()
		if err != nil {
			return nil, err
		}
		target.Command, target.Env = []string{exe}, map[string]string{serverVariable: w.version,
			"GORACE": testkit.NoExitSleep}
	}
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	s, err := client.Connect(ctx, target, client.Options{Logger: quiet, NoFastPath: !w.fast, PingInterval: -1})
	if err != nil {
		return nil, err
	}
	if got := s.ProtocolVersion(); got != w.version {
		err = fmt.Errorf("the session speaks %s", got)
	} else {
		_, err = askWhatItGot(ctx, s) // in the handshake
	}
	return s, err
}

func closeSession(s *client.Session) {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	_ = s.Close(ctx) // how a scripted server ends is not looked at
}

// A seen is what a call was for its caller, and for its server.
type seen struct {
	outcome string
	notices []string
	got     []string
	over    error // the session has ended
	fast    int64 // calls that took the fast path
}

// listener writes down what a call is told and asked.
type listener struct {
	mu   sync.Mutex
	said []string
}

func (l *listener) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, fmt.Sprintf(format, args...))
}

// Notify implements [agent.BackChannel].
func (l *listener) Notify(_ context.Context, n agent.Notice) { l.add("notice %s", encode(n)) }

// Request implements [agent.BackChannel].
func (l *listener) Request(_ context.Context, r agent.Request) (json.RawMessage, error) {
	l.add("question %s %s", r.Kind, canon(r.Params))
	switch r.Kind {
	case agent.AskElicit:
		return json.RawMessage(`{"action":"accept","content":{"name":"Ada"}}`), nil
	case agent.AskRoots:
		return json.RawMessage(`{"roots":[{"uri":"file:///a"}]}`), nil
	}
	return nil, agent.Errorf(agent.CodeUnavailable, "not today")
}

// try makes one call on a session, and looks at it from both ends.
// The server asks so many questions.
func try(t testing.TB, s *client.Session, sc script, asks int) (out seen) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	before := s.FastCalls()
	l := &listener{}
	out.outcome = callOnce(ctx, s, "do", sc, l)
	out.notices, out.fast = l.said, s.FastCalls()-before
	if sc.ends {
		select {
		case <-s.Done():
		case <-ctx.Done():
			t.Fatalf("the session goes on after %s", out.outcome)
		}
	}
	if out.over = s.Err(); out.over != nil {
		return out
	}
	for len(out.got) < 1+asks { // our answers to the server may come later than its own
		got, err := askWhatItGot(ctx, s)
		if err != nil {
			select {
			case <-s.Done(): // a moment after the call
				out.over, out.got = s.Err(), nil
				return out
			case <-ctx.Done():
				t.Fatalf("got: %v, after %q", err, out.got)
			}
		}
		out.got = append(out.got, got...)
	}
	slices.Sort(out.got)
	return out
}

// askWhatItGot asks a scripted server what it got since it was last asked.
func askWhatItGot(ctx context.Context, s *client.Session) (out []string, err error) {
	res, err := s.Call(ctx, &agent.Call{ID: "c", Op: agent.OpTool, Agent: "scripted", Name: "got", Attempt: 1})
	if err != nil {
		return nil, err
	}
	var got struct{ Got []json.RawMessage }
	if err := res.Decode(&got); err != nil {
		return nil, err
	}
	for _, m := range got.Got {
		// a session is asked whether it is still known after some errors, beside the call
		if msg := withoutIDs(canon(m)); !strings.Contains(msg, `"method":"ping"`) {
			out = append(out, msg)
		}
	}
	return out, nil
}

// callOnce calls a tool; what comes of it, as text.
func callOnce(ctx context.Context, s *client.Session, tool string, sc script, back agent.BackChannel) string {
	in, err := json.Marshal(sc)
	if err != nil {
		return err.Error()
	}
	res, err := s.Call(ctx, &agent.Call{ID: "c", Op: agent.OpTool, Agent: "scripted", Name: tool, Input: in,
		Attempt: 1, Back: back})
	return outcomeOf(res, err)
}

// outcomeOf is what came of a call.
func outcomeOf(res *agent.Result, err error) string {
	if err == nil {
		return "result " + canon([]byte(encode(res)))
	}
	var e *agent.Error
	if !errors.As(err, &e) {
		return "not an agent.Error: " + err.Error()
	}
	return fmt.Sprintf("error %s %q retry after %v, details %s, not executed %v", e.Code,
		elsewhere.ReplaceAllString(e.Message, "…"), e.RetryAfter, canon(e.Details), e.NotExecuted)
}

// elsewhere is a place in a message, which depends on the length of its id, an address, or a
// process.
var elsewhere = regexp.MustCompile(`byte [0-9]+|127\.0\.0\.1:[0-9]+|pid [0-9]+|\[[0-9]+\]`)

func (a seen) differs(b seen) string {
	switch {
	case a.outcome != b.outcome:
		return fmt.Sprintf("outcome:\n  %s\n  %s", a.outcome, b.outcome)
	case strings.Join(a.notices, "\n") != strings.Join(b.notices, "\n"):
		return fmt.Sprintf("notices:\n  %q\n  %q", a.notices, b.notices)
	case strings.Join(a.got, "\n") != strings.Join(b.got, "\n"):
		return fmt.Sprintf("the server got:\n  %s\n  %s", strings.Join(a.got, "\n  "), strings.Join(b.got, "\n  "))
	case (a.over == nil) != (b.over == nil):
		return fmt.Sprintf("end of the session: %v, %v", a.over, b.over)
	}
	return ""
}

// tryBoth makes one call with the fast path and one without, on sessions that are opened anew where
// they have ended.
func (w way) tryBoth(t testing.TB, sessions *[2]*client.Session, urls [2]string, sc script, asks int) (both [2]seen) {
	t.Helper()
	for i := range both {
		if s := sessions[i]; s == nil || s.Err() != nil {
			closeSession(s)
			w.fast = i == 0
			var err error
			if sessions[i], err = w.open(urls[i]); err != nil {
				t.Fatal(err)
			}
		}
		both[i] = try(t, sessions[i], sc, asks)
	}
	return both
}

// What a server answers means the same with the fast path and without.
func TestAnswersMeanTheSame(t *testing.T) {
	for _, w := range clientWays() {
		t.Run(w.String(), func(all *testing.T) {
			all.Parallel()
			var sessions [2]*client.Session
			urls := [2]string{w.serve(all), w.serve(all)}
			all.Cleanup(func() { closeSession(sessions[0]); closeSession(sessions[1]) })
			for name, c := range answerCases(all) {
				all.Run(name, func(t *testing.T) {
					sc := script{Say: bytes.Split([]byte(c.say), []byte{'\n'}), JSON: w.json}
					if w.json && len(sc.Say) > 1 {
						t.Skip("not one message")
					}
					answer := c.options["answer"] == 1
					if !answer && !w.json {
						sc.Say = append(sc.Say, []byte(end))
					}
					both := w.tryBoth(t, &sessions, urls, sc, c.options["asks"])
					if d := both[0].differs(both[1]); d != "" {
						t.Errorf("with the fast path and without, %s", d)
					}
					if answer && strings.HasPrefix(both[0].outcome, "error deadline_exceeded") {
						t.Errorf("the call waits until its deadline: %s", both[0].outcome)
					}
					if answer && both[0].fast != 1 || both[1].fast != 0 {
						t.Errorf("%d and %d calls took the fast path", both[0].fast, both[1].fast)
					}
				})
			}
		})
	}
}
