package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// A raw is a server without an SDK. Its members are the results, or errors, of methods:
// `{"result":…}` or `{"error":…}`; what it has none for gets no answer. One that begins with = is
// all that is said, with $id for the request's id. A later page of a list is "METHOD CURSOR".
type raw struct {
	mu      sync.Mutex
	answers map[string]string
	asked   map[string]int // how often
	say     func(string)   // sends a message; stdio only
	unknown string         // over HTTP: the method that is answered with 404
	refusal int            // over HTTP: the status for the notification that the handshake is over; 0: 202
}

const (
	twoTools = `{"result":{"tools":[{"name":"good","inputSchema":{"type":"object"}},{"name":"bad","inputSchema":{"type":"object"},"icons":["x"]}]}}`
	oneTool  = `{"result":{"tools":[{"name":"good","inputSchema":{"type":"object"}}]}}`
)

func newRaw(more map[string]string) *raw {
	r := &raw{asked: map[string]int{}, answers: map[string]string{
		"initialize": `{"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"prompts":{},"resources":{},` +
			`"logging":{}},"serverInfo":{"name":"raw","version":"1"}}}`,
		"logging/setLevel":         `{"result":{}}`,
		"tools/list":               oneTool,
		"prompts/list":             `{"result":{"prompts":[{"name":"p"}]}}`,
		"resources/list":           `{"result":{"resources":[{"uri":"x://y","name":"n"}]}}`,
		"resources/templates/list": `{"result":{"resourceTemplates":[{"uriTemplate":"x://{y}","name":"n"}]}}`,
		"tools/call":               `{"result":{"content":[{"type":"text","text":"fine"}]}}`,
		"ping":                     `{"result":{}}`,
	}}
	for k, v := range more {
		r.answers[k] = v
	}
	return r
}

func (r *raw) set(method, answer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[method] = answer
}

// answer is what is said to a message; empty: nothing.
func (r *raw) answer(msg []byte) string {
	var env wire.Envelope
	if !env.Scan(msg) || env.ID == nil {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	method := string(env.Method)
	if _, cursor, ok := strings.Cut(string(env.Params), `"cursor":"`); ok {
		method += " " + cursor[:strings.Index(cursor, `"`)]
	}
	a := r.answers[method]
	r.asked[method]++
	if all, ok := strings.CutPrefix(a, "="); ok {
		return strings.ReplaceAll(all, "$id", string(env.ID))
	}
	if a != "" {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,%s`, env.ID, a[1:])
	}
	return ""
}

// serve answers on pipes, of which it returns the client's end.
func (r *raw) serve(t *testing.T) pipe {
	near, far := pipes(t)
	r.serveOn(far)
	return near
}

// serveOn answers on the server's end of pipes, until they are closed.
func (r *raw) serveOn(far pipe) {
	var mu sync.Mutex
	r.say = func(msg string) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.WriteString(far.Writer, msg+"\n") // fails when the test is over
	}
	go func() {
		for sc := bufio.NewScanner(far.Reader); sc.Scan(); {
			if text := r.answer(sc.Bytes()); text != "" {
				r.say(text)
			}
		}
	}()
}

// stdio is a session over pipes.
func (r *raw) stdio(t *testing.T, o Options) *Session {
	return overPipes(t, r.serve(t), Target{Name: "raw"}, o)
}

// http is one over streamable HTTP, with answers that are JSON, or events if they begin with data:.
func (r *raw) http(t *testing.T, o Options) *Session {
	ended := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		if r.refuses(body) {
			http.Error(w, "no such thing", r.refusal)
			return
		}
		var env wire.Envelope
		text := r.answer(body)
		switch {
		case r.unknown != "" && env.Scan(body) && string(env.Method) == r.unknown:
			http.NotFound(w, req)
		case strings.HasPrefix(text, "data:"):
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, text+"\n\n")
		case text != "":
			w.Header().Set("Content-Type", "application/json")
			if r.unknown != "" {
				w.Header().Set("Mcp-Session-Id", "s")
			}
			_, _ = io.WriteString(w, text)
		case env.Scan(body) && env.ID != nil: // silence
			select {
			case <-ended:
			case <-req.Context().Done():
			}
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	}))
	t.Cleanup(func() { close(ended); srv.CloseClientConnections(); srv.Close() })
	return mustConnect(t, Target{Name: "raw", Transport: mcp.Streamable, URL: srv.URL}, o)
}

// names are what a session offers, and what is left out.
func names(s *Session) (offered []string, leftOut []agent.LeftOut) {
	info := s.Info()
	for _, t := range info.Tools {
		offered = append(offered, t.Name)
	}
	for _, p := range info.Prompts {
		offered = append(offered, p.Name)
	}
	for _, r := range info.Resources {
		offered = append(offered, r.Key())
	}
	return offered, info.LeftOut
}

// deepTools is a list with a tool whose schema nests deep.
func deepTools(levels int) string {
	return `{"result":{"tools":[{"name":"deep","inputSchema":` + strings.Repeat(`{"not":`, levels) + `{}` +
		strings.Repeat(`}`, levels) + `},{"name":"good"}]}}`
}

// A list that fails, or an item that nobody can read, costs itself only. It is told with its
// reason. Tools are there at once, whatever becomes of the other lists.
func TestOneBadThingCostsItselfOnly(t *testing.T) {
	const wrong = `{"error":{"code":-32603,"message":"'NoneType' object is not iterable"}}`
	for name, tt := range map[string]struct {
		method, answer string
		want           string // of what is offered
		left           string // kind, name and reason of what is left out
	}{
		"all is well": {"tools/list", oneTool, "good p x://y x://{y}", ""},
		"a bad tool": {"tools/list", twoTools, "good p x://y x://{y}", "tool bad: its icons are not a list of " +
			"objects: one is a string"},
		"no names": {"tools/list", `{"result":{"tools":[null,{"name":5},{"name":"good"},{"name":"good"}]}}`,
			"good p x://y x://{y}", "tool #1: it is null, not an object; tool #2: its name is a number, not a " +
				"string; tool good: its name is listed 2 times; the first one counts"},
		"2,000 levels": {"tools/list", deepTools(2000), "good p x://y x://{y}",
			"tool deep: it nests 2002 levels deep, over the limit of 128"},
		"100,000 levels": {"tools/list", deepTools(100_000), "good p x://y x://{y}",
			"tool deep: it nests 100002 levels deep, over the limit of 128"},
		"50 levels": {"tools/list", deepTools(50), "deep good p x://y x://{y}", ""},
		"no JSON": {"tools/list", `{"result":{"tools":[{"name":"odd","inputSchema":{"maximum":NaN}},{"name":"good"}]}}`,
			"good p x://y x://{y}", "tool odd: it is no JSON: invalid character 'N' looking for beginning of value"},
		"no comma": {"prompts/list", `{"result":{"prompts":[{"name":"odd" "title":"x"},{"name":"p"}],}}`,
			"good p x://y x://{y}", "prompt #1: it is no JSON: invalid character '\"' after object key:value pair"},
		"undefined": {"resources/list",
			`{"result":{"resources":[undefined,{"uri":"x://y","name":"n",},{"uri":"x://z"}]}}`,
			"good p x://z x://{y}", "resource #1: it is no JSON: invalid character 'u' looking for " +
				"beginning of value; resource x://y: it is no JSON: invalid character '}' looking for beginning of " +
				"object key string"},
		"one name over and over": {"tools/list", `{"result":{"tools":[` + strings.Repeat(`{"name":"good"},`, 1999) +
			`{"name":"good"}]}}`, "good p x://y x://{y}", "tool good: its name is listed 2000 times; the first one " +
			"counts"},
		"a theme that clients do not know": {"tools/list", `{"result":{"tools":[{"name":"good","icons":[{"src":"x",` +
			`"theme":"blue"}]}]}}`, "good p x://y x://{y}", `member of tool good: in its icons: its theme is "blue", ` +
			"not light or dark"},
		"another page, perhaps": {"tools/list", `{"result":{"tools":[{"name":"good"}],"nextCursor":2}}`,
			"good p x://y x://{y}", "list tools/list: what follows page 1 cannot be asked for: its nextCursor is a " +
				"number, not a string"},
		"no page more": {"tools/list", `{"result":{"tools":[{"name":"good"}],"nextCursor":null}}`,
			"good p x://y x://{y}", ""},
		"too many bad ones": {"tools/list", `{"result":{"tools":[` + strings.Repeat(`{"name":""},`, maxLeftOut+7) +
			`{"name":"good"}]}}`, "good p x://y x://{y}", strings.Join(slices.Collect(func(yield func(string) bool) {
			for n := range maxLeftOut {
				yield(fmt.Sprintf("tool #%d: its name is empty", n+1))
			}
			yield("list tools/list: 7 more of its items are left out")
		}), "; ")},
		"prompts fail": {"prompts/list", wrong, "good x://y x://{y}", "list prompts/list: 'NoneType' object is not " +
			"iterable"},
		"code 0": {"resources/list", `{"error":{"code":0,"message":"not implemented"}}`, "good p x://{y}",
			"list resources/list: not implemented"},
		"no such method": {"resources/templates/list", `{"error":{"code":-32601,"message":"Method not found"}}`,
			"good p x://y", ""},
		"silence": {"prompts/list", "", "good x://y x://{y}", "list prompts/list: no answer within 3s"},
		"no list": {"prompts/list", `{"result":{"prompts":7}}`, "good x://y x://{y}", "list prompts/list: the " +
			"answer cannot be understood: the result's prompts are a number, not a list"},
		"PHP's nothing": {"prompts/list", `{"result":{"prompts":{}}}`, "good x://y x://{y}", ""},
		"null":          {"prompts/list", `{"result":{"prompts":null}}`, "good x://y x://{y}", ""},
		"a bad prompt": {"prompts/list", `{"result":{"prompts":[{"name":"p","arguments":{"x":{}}},{"name":"q"}]}}`,
			"good q x://y x://{y}", "prompt p: its arguments is an object, not a list of objects"},
		"a bad resource": {"resources/list", `{"result":{"resources":[{"name":"no uri"},{"uri":"x://z"}]}}`,
			"good p x://z x://{y}", "resource #1: it has no uri"},
		"a bad template": {"resources/templates/list",
			`{"result":{"resourceTemplates":[{"uriTemplate":"x://{y}","name":5}]}}`, "good p x://y",
			"template x://{y}: its name is a number, not a string"},
		"no log level": {"logging/setLevel", wrong, "good p x://y x://{y}", ""},
		"silent level": {"logging/setLevel", "", "good p x://y x://{y}", ""},
	} {
		for way, connect := range map[string]func(*raw, *testing.T, Options) *Session{"stdio": (*raw).stdio,
			"http": (*raw).http} {
			for _, off := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/%v", name, way, !off), func(t *testing.T) {
					t.Parallel() // some wait
					s := connect(newRaw(map[string]string{tt.method: tt.answer}), t,
						Options{NoFastPath: off, HandshakeTimeout: 3 * time.Second})
					if _, ok := s.Info().Tool("good"); !ok {
						t.Error("no tool when the session is there")
					}
					s.Listed(t.Context())
					offered, leftOut := names(s)
					var left []string
					for _, l := range leftOut {
						left = append(left, l.Kind+" "+l.Name+": "+l.Reason)
					}
					if got, out := strings.Join(offered, " "), strings.Join(left, "; "); got != tt.want ||
						out != tt.left {
						t.Errorf("\n got %s; left out %s\nwant %s; left out %s", got, out, tt.want, tt.left)
					}
					if got := mustCall(t, s, "good", nil, nil).Text(); got != "fine" {
						t.Errorf("%s", got)
					}
				})
			}
		}
	}
}

// What is left out is said once, not with each list that is read again. A list that fails later
// leaves the one before.
func TestWhatIsLeftOutIsSaidOnce(t *testing.T) {
	log := &testkit.Buffer{}
	changed := make(chan agent.Info, 10)
	r := newRaw(map[string]string{"tools/list": twoTools})
	s := r.stdio(t, Options{Logger: slog.New(slog.NewTextHandler(log, nil)),
		OnChanged: func(i agent.Info) { changed <- i }})
	more := strings.Replace(twoTools, `{"tools":[`, `{"tools":[{"name":"more","inputSchema":{}},`, 1)
	r.set("tools/list", more)
	const notice = `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`
	r.say(notice)
	if info := testkit.Receive(t, changed); len(info.Tools) != 2 || len(info.LeftOut) != 1 {
		t.Errorf("%+v", info)
	}
	r.set("tools/list", `{"error":{"code":-32603,"message":"not now"}}`)
	r.say(notice)
	if info := testkit.Receive(t, changed); len(info.Tools) != 2 || len(info.LeftOut) != 1 ||
		info.LeftOut[0] != (agent.LeftOut{Kind: "list", Name: "tools/list", Reason: "not now"}) {
		t.Errorf("%+v", info)
	}
	r.set("tools/list", more)
	r.say(notice)
	if info := testkit.Receive(t, changed); len(info.Tools) != 2 || len(info.LeftOut) != 1 ||
		info.LeftOut[0].Name != "bad" {
		t.Errorf("%+v", info)
	}
	if n := strings.Count(log.String(), "name=bad"); n != 2 || s.Err() != nil { // the list in between failed
		t.Errorf("%d warnings, %v\n%s", n, s.Err(), log)
	}
}

// A server that announces a change whenever its list is read is asked less and less often.
func TestAServerThatAlwaysAnnouncesAChange(t *testing.T) {
	log := &testkit.Buffer{}
	const notice = `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`
	r := newRaw(map[string]string{"tools/list": `={"jsonrpc":"2.0","id":$id,` + oneTool[1:] + "\n" + notice})
	s := r.stdio(t, Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	testkit.Eventually(t, "a warning", func() bool { return strings.Contains(log.String(), "asked less often") })
	r.mu.Lock()
	asked := r.asked["tools/list"]
	r.mu.Unlock()
	if s.Err() != nil || asked > idleLimit+2 || strings.Count(log.String(), "WARN") != 1 {
		t.Errorf("asked %d times, %v\n%s", asked, s.Err(), log)
	}
}

// A list that takes its time comes later, and is announced.
func TestSlowListsFollow(t *testing.T) {
	changed := make(chan agent.Info, 10)
	r := newRaw(map[string]string{"prompts/list": "", "resources/list": ""})
	s := r.stdio(t, Options{OnChanged: func(i agent.Info) { changed <- i }})
	if offered, left := names(s); !slices.Equal(offered, []string{"good", "x://{y}"}) || len(left) != 2 ||
		left[0] != (agent.LeftOut{Kind: "list", Name: "prompts/list", Reason: "the server has not answered yet"}) {
		t.Errorf("at first: %q, left out %+v", offered, left)
	}
	// The requests that wait have the ids of the SDK's first ones, in some order.
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Hang)
	defer cancel()
	for id := range 10 {
		r.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":{"prompts":[{"name":"late"}],"resources":[{"uri":"x://late","name":"n"}]}}`, id))
	}
	s.Listed(ctx)
	if offered, left := names(s); !slices.Equal(offered, []string{"good", "late", "x://late", "x://{y}"}) ||
		left != nil {
		t.Errorf("later: %q, left out %v", offered, left)
	}
	testkit.Receive(t, changed)
}

// What a foreign server reports is kept as it came, for clients of ours.
func TestNoticesAreKeptAsTheyCame(t *testing.T) {
	const progress = `{"progressToken":"om-1","progress":1.0,"x":9007199254740993}`
	const line = `{"level":"info","data":1.0,"_meta":{"k":1.0}}`
	const answer = "=" + `{"jsonrpc":"2.0","method":"notifications/progress","params":` + progress + "}\n" +
		`{"jsonrpc":"2.0","method":"notifications/message","params":` + line + "}\n" +
		`{"jsonrpc":"2.0","id":$id,"result":{"content":[]}}`
	for _, off := range []bool{false, true} {
		var got []agent.Notice
		s := newRaw(map[string]string{"tools/call": answer}).stdio(t, Options{NoFastPath: off})
		_, err := s.Call(t.Context(), &agent.Call{ID: "c", Op: agent.OpTool, Agent: "raw", Name: "good", Attempt: 1,
			Back: noticed(func(n agent.Notice) { got = append(got, n) })})
		if err != nil || len(got) != 2 || string(got[0].Raw) != progress || got[0].Progress.Progress != 1 ||
			string(got[1].Raw) != line || string(got[1].Log.Data) != "1.0" {
			t.Errorf("fast path off %v: %v, %+v", off, err, got)
		}
	}
}

// noticed is a back-channel that answers nothing.
type noticed func(agent.Notice)

// Notify implements [agent.BackChannel].
func (f noticed) Notify(_ context.Context, n agent.Notice) { f(n) }

// Request implements [agent.BackChannel].
func (noticed) Request(context.Context, agent.Request) (json.RawMessage, error) {
	return nil, agent.Errorf(agent.CodeUnavailable, "nobody")
}
