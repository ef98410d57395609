package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/communicatortest"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/bridge"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// steps is an agent whose tool reports its progress: 1, then, when go comes, the rest up to 5.
type steps struct {
	runs atomic.Int64
	said chan bool
	on   chan bool
}

func newSteps() *steps { return &steps{said: make(chan bool, 100), on: make(chan bool, 100)} }

func (s *steps) caps() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{agent.NewTool("walk", "",
		func(ctx context.Context, w fixture.Word) (string, error) {
			s.runs.Add(1)
			agent.Progress(ctx, 1, 5, "")
			s.said <- true
			select {
			case <-s.on:
			case <-ctx.Done():
				return "", ctx.Err()
			}
			for i := range 4 {
				agent.Progress(ctx, float64(i+2), 5, "")
			}
			return "walked to " + w.Word, nil
		})}}
}

func resumable(size int) GatewayOptions {
	return GatewayOptions{Options: Options{Identify: tokens, Limits: Limits{Resume: size}}}
}

// rawSession writes streamable HTTP by hand.
type rawSession struct {
	t      *testing.T
	url    string
	header map[string]string
	client *http.Client
}

func (s *site) rawSession(t *testing.T, version string) *rawSession {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	r := &rawSession{t: t, url: s.url + "/mcp",
		header: streamableHeaders(map[string]string{"Authorization": "Bearer ann"}),
		client: &http.Client{Transport: tr}}
	status, h, body := send(t, "POST", r.url, r.header, strings.Replace(initialize, codec.Version20251125, version, 1))
	if status != 200 || !strings.Contains(body, version) {
		t.Fatal(status, body)
	}
	r.header[codec.SessionHeader] = h.Get(codec.SessionHeader)
	if version > codec.Version20250326 {
		r.header[codec.VersionHeader] = version
	}
	if status, _, body := send(t, "POST", r.url, r.header, initialized); status != 202 {
		t.Fatal(status, body)
	}
	return r
}

func walk(id int) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"agent_walk","arguments":{"word":"town"},"_meta":{"progressToken":%d}}}`, id, id)
}

// A rawStream is a response that is a stream of events.
type rawStream struct {
	*wire.EventReader
	t      *testing.T
	cut    context.CancelFunc
	status int
	body   io.Reader
}

// open makes a request; more is added to its headers.
func (r *rawSession) open(method, body string, more ...string) *rawStream {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	r.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, r.url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	for i := 0; i < len(more); i += 2 {
		req.Header.Set(more[i], more[i+1])
	}
	res, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = res.Body.Close() })
	return &rawStream{wire.NewEventReader(res.Body, 1<<20), r.t, cancel, res.StatusCode, res.Body}
}

// next is the next message: "progress N", or the text of an answer. It is empty at the end.
func (s *rawStream) next() string {
	s.t.Helper()
	for {
		_, data, err := s.Next()
		if err != nil {
			return ""
		}
		var p struct {
			Method string
			Params struct{ Progress float64 }
			Result struct{ Content []struct{ Text string } }
		}
		switch {
		case len(data) == 0: // what begins the stream
			continue
		case !readObject(data, &p):
			s.t.Fatalf("%q", data)
		case p.Method == "notifications/progress":
			return "progress " + strconv.Itoa(int(p.Params.Progress))
		case p.Method != "":
			return p.Method
		case len(p.Result.Content) > 0:
			return p.Result.Content[0].Text
		}
		return string(data)
	}
}

func (s *rawStream) rest() (all []string) {
	s.t.Helper()
	for m := s.next(); m != ""; m = s.next() {
		all = append(all, m)
	}
	return all
}

const wholeWalk = "[progress 2 progress 3 progress 4 progress 5 walked to town]"

// TestAnAnswerCanBeFetched: a client loses its connection while its call runs, and comes back:
// before the answer, after it, and while the server thinks that it is still there. It gets what it
// has missed, once, in each version that has it.
func TestAnAnswerCanBeFetched(t *testing.T) {
	a, dir := newSteps(), &fixture.Crew{}
	dir.Add(t, "agent", a.caps())
	s := newSite(t, dir, resumable(1<<20))
	free := func() bool { // nobody is answered now
		for _, c := range s.http.where(func(*session) bool { return true }) {
			select {
			case <-c.use.Idle():
			default:
				return false
			}
		}
		return true
	}
	for _, version := range []string{codec.Version20250326, "2025-06-18", codec.Version20251125} {
		t.Run(version, func(t *testing.T) {
			r := s.rawSession(t, version)
			for how, leave := range map[string]func(*rawStream){
				"before the answer": func(st *rawStream) { st.cut(); testkit.Eventually(t, "the cut is seen", free) },
				"unnoticed":         func(*rawStream) {},
				"after it": func(st *rawStream) {
					st.cut()
					testkit.Eventually(t, "the cut is seen", free)
					a.on <- true
					testkit.Eventually(t, "the call ends", func() bool { return s.InFlight() == 0 })
				},
			} {
				before := a.runs.Load()
				st := r.open("POST", walk(7))
				if got := st.next(); got != "progress 1" || st.LastID == "" {
					t.Fatalf("%s: %q, id %q", how, got, st.LastID)
				}
				leave(st)
				again := r.open("GET", "", codec.LastEventHeader, st.LastID)
				if how != "after it" {
					a.on <- true
				}
				if got := fmt.Sprint(again.rest()); got != wholeWalk || again.status != 200 {
					t.Errorf("%s: %d %s", how, again.status, got)
				}
				if left := st.rest(); how == "unnoticed" && len(left) > 0 {
					t.Errorf("the request that lost its stream got %q", left)
				}
				if got := fmt.Sprint(r.open("GET", "", codec.LastEventHeader, again.LastID).rest()); got != "[]" {
					t.Errorf("%s: after the end there is %s", how, got)
				}
				if got := fmt.Sprint(r.open("GET", "", codec.LastEventHeader, st.LastID).rest()); got != wholeWalk {
					t.Errorf("%s: once more: %s", how, got)
				}
				if n := a.runs.Load() - before; n != 1 {
					t.Errorf("%s: the tool ran %d times", how, n)
				}
			}
			if status, _, body := send(t, "DELETE", r.url, r.header, ""); status != 204 {
				t.Error(status, body)
			}
		})
	}
	if n := s.FastCalls(); n != 0 {
		t.Errorf("%d calls were made where nothing is kept", n)
	}
	if s.http.events.size != 0 || len(s.http.events.sessions) != 0 {
		t.Errorf("%d bytes of %d sessions are kept that are over", s.http.events.size, len(s.http.events.sessions))
	}
}

// TestAStalledClientComesBack: the server is in the midst of writing to a client that reads no
// more, when that comes back on another connection.
func TestAStalledClientComesBack(t *testing.T) {
	const large = 12 << 20 // more than the buffers between two sockets hold
	dir, on := &fixture.Crew{}, make(chan bool)
	dir.Add(t, "agent", agent.Capabilities{Tools: []agent.Tool{agent.NewTool("walk", "",
		func(ctx context.Context, _ fixture.Word) (string, error) {
			agent.Progress(ctx, 1, 0, "")
			<-on
			agent.Progress(ctx, 2, 0, strings.Repeat("x", large))
			return "there", nil
		})}})
	o := resumable(64 << 20)
	o.Limits.WriteTimeout = 10 * fixture.Patience // what ends the write is not this
	s := newSite(t, dir, o)
	r := s.rawSession(t, codec.Version20251125)
	st := r.open("POST", walk(1))
	if got := st.next(); got != "progress 1" {
		t.Fatal(got)
	}
	on <- true
	testkit.Eventually(t, "it is being written", func() bool {
		s.http.events.mu.Lock()
		defer s.http.events.mu.Unlock()
		return s.http.events.size > large
	})
	again := r.open("GET", "", codec.LastEventHeader, st.LastID)
	again.EventReader = wire.NewEventReader(again.body, 2*large)
	if got := fmt.Sprint(again.rest()); got != "[progress 2 there]" {
		t.Errorf("%d %.100s", again.status, got)
	}
}

// TestOnlyTheOwnerResumes: nobody else gets at what was sent, nor does a session get what is
// another's.
func TestOnlyTheOwnerResumes(t *testing.T) {
	a, dir := newSteps(), &fixture.Crew{}
	dir.Add(t, "agent", a.caps())
	s := newSite(t, dir, resumable(1<<20))
	r, other := s.rawSession(t, codec.Version20251125), s.rawSession(t, codec.Version20251125)
	st := r.open("POST", walk(1))
	_ = st.next()
	for who, want := range map[string]int{"Bearer bob": 403, "Bearer !ann": 403, "": 401} {
		if got := r.open("GET", "", "Authorization", who, codec.LastEventHeader, st.LastID); got.status != want {
			t.Errorf("%q: %d", who, got.status)
		}
	}
	for id, want := range map[string]string{st.LastID + "0": "no event", "nobody_1": "not kept", "x": "malformed",
		st.LastID + "_1": "", "_-1": "malformed", "_0": "no event"} {
		got := r.open("GET", "", codec.LastEventHeader, id)
		if text, _ := io.ReadAll(got.body); got.status != 400 || !strings.Contains(string(text), want) {
			t.Errorf("%q: %d %s", id, got.status, text)
		}
	}
	if got := other.open("GET", "", codec.LastEventHeader, st.LastID); got.status != 400 {
		t.Errorf("another session: %d", got.status)
	}
	a.on <- true
	if got := fmt.Sprint(st.rest()); got != wholeWalk {
		t.Errorf("the stream that they were after: %s", got)
	}
	if got := s.rawSession(t, codec.Version20251125).open("GET", "", codec.SessionHeader, "gone", codec.LastEventHeader,
		st.LastID); got.status != 404 {
		t.Errorf("no session: %d", got.status)
	}
}

// TestWhatIsKeptIsBounded pushes an answer out with others; the error is clear, and the session
// goes on.
func TestWhatIsKeptIsBounded(t *testing.T) {
	a, dir := newSteps(), &fixture.Crew{}
	dir.Add(t, "agent", a.caps())
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	s := newSite(t, dir, resumable(64<<10))
	r, quiet := s.rawSession(t, codec.Version20251125), s.rawSession(t, codec.Version20251125)
	ids := map[*rawSession]string{}
	for _, each := range []*rawSession{r, quiet} {
		a.on <- true
		st := each.open("POST", walk(1))
		_ = st.next()
		ids[each] = st.LastID
		_ = st.rest()
	}
	for i := range 200 {
		msg := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo_say","arguments":{"word":%q}}}`, i+2, strings.Repeat("x", 1<<10))
		if got := r.open("POST", msg).rest(); len(got) != 1 {
			t.Fatal(got)
		}
	}
	s.http.events.mu.Lock()
	size := s.http.events.size
	s.http.events.mu.Unlock()
	if size > 32<<10 {
		t.Errorf("%d bytes are kept for two sessions", size)
	}
	late := r.open("GET", "", codec.LastEventHeader, ids[r])
	if text, _ := io.ReadAll(late.body); late.status != 400 || !strings.Contains(string(text), "not kept any more") {
		t.Errorf("%d %s", late.status, text)
	}
	if got := fmt.Sprint(quiet.open("GET", "", codec.LastEventHeader, ids[quiet]).rest()); got != wholeWalk {
		t.Errorf("the session that said little: %s", got)
	}
	for _, c := range s.http.where(func(*session) bool { return true }) {
		s.http.endSession(c)
	}
	testkit.Eventually(t, "what was kept is free", func() bool {
		s.http.events.mu.Lock()
		defer s.http.events.mu.Unlock()
		return s.http.events.size == 0
	})
}

// TestRefusedRequestsLeaveNothing: what the SDK turns away after it has opened a stream for it is
// not kept, since it would count for nothing.
func TestRefusedRequestsLeaveNothing(t *testing.T) {
	a, dir := newSteps(), &fixture.Crew{}
	dir.Add(t, "agent", a.caps())
	s := newSite(t, dir, resumable(64<<10))
	r := s.rawSession(t, codec.Version20251125)
	first := r.open("POST", walk(1))
	_ = first.next()
	for range 20 {
		if again := r.open("POST", walk(1)); again.status != 400 {
			t.Fatal(again.status)
		}
	}
	testkit.Eventually(t, "only the running call has a stream", func() bool {
		s.http.events.mu.Lock()
		defer s.http.events.mu.Unlock()
		for _, k := range s.http.events.sessions {
			for id, st := range k.streams {
				if id != "" && st.next() == 0 {
					return false
				}
			}
		}
		return true
	})
	a.on <- true
	if got := first.rest(); len(got) == 0 || got[len(got)-1] != "walked to town" {
		t.Error(got)
	}
}

// TestARefusedGetReceivesNothing: what is sent while no stream is open waits for one that
// is accepted.
func TestARefusedGetReceivesNothing(t *testing.T) {
	s := newSite(t, &fixture.Crew{}, resumable(64<<10))
	r := s.rawSession(t, codec.Version20251125)
	clients := s.http.where(func(*session) bool { return true })
	if len(clients) != 1 {
		t.Fatal(len(clients))
	}
	ss, _ := clients[0].parts()
	if err := ss.Log(t.Context(), &sdk.LoggingMessageParams{Level: "error", Data: "nobody is here"}); err != nil {
		t.Fatal(err)
	}
	if bad := r.open("GET", "", "Accept", "application/json"); bad.status < 400 {
		t.Fatal(bad.status)
	}
	good := r.open("GET", "")
	got := make(chan string, 1)
	go func() {
		_, data, err := good.Next()
		got <- fmt.Sprintf("%s %v", data, err)
	}()
	if said := fixture.Receive(t, "what was said", got); !strings.Contains(said, "nobody is here") {
		t.Error(said)
	}
}

// TestNotificationsWaitForTheStreamOnce: a session's own stream begins with what was sent while
// it was not open.
func TestNotificationsWaitForTheStreamOnce(t *testing.T) {
	dir := &fixture.Crew{}
	s := newSite(t, dir, resumable(1<<20))
	r := s.rawSession(t, codec.Version20251125)
	change := func(name string) {
		dir.Add(t, name, fixture.OtherCaps())
		s.Refresh()
	}
	const changed = "notifications/tools/list_changed"
	said := func() int {
		s.http.events.mu.Lock()
		defer s.http.events.mu.Unlock()
		st, err := s.http.events.find(r.header[codec.SessionHeader], "")
		if err != nil {
			t.Fatal(err)
		}
		return st.next()
	}
	change("one")
	testkit.Eventually(t, "it was said", func() bool { return said() == 1 })
	first := r.open("GET", "")
	if got := first.next(); got != changed || first.LastID != "_0" {
		t.Fatalf("%q, id %q", got, first.LastID)
	}
	change("two")
	if got := first.next(); got != changed || first.LastID != "_1" {
		t.Fatalf("%q, id %q", got, first.LastID)
	}
	if got := r.open("GET", "").status; got != 409 {
		t.Errorf("a second stream: %d", got)
	}
	first.cut()
	testkit.Eventually(t, "the stream ends", func() bool {
		return len(s.http.where(func(c *session) bool { return c.use.listening() })) == 0
	})
	change("three")
	testkit.Eventually(t, "it was said", func() bool { return said() == 3 })
	second := r.open("GET", "", codec.LastEventHeader, "_0")
	if a, b := second.next(), second.next(); a != changed || b != changed || second.LastID != "_2" {
		t.Errorf("%q %q, id %q", a, b, second.LastID)
	}
	third := r.open("GET", "", codec.LastEventHeader, second.LastID) // the second is not known to be gone
	change("four")
	if got := third.next(); got != changed || third.LastID != "_3" || third.status != 200 {
		t.Errorf("%d %q, id %q", third.status, got, third.LastID)
	}
	third.cut()
	testkit.Eventually(t, "the stream ends", func() bool {
		return len(s.http.where(func(c *session) bool { return c.use.listening() })) == 0
	})
	fourth := r.open("GET", "")
	change("five")
	if got := fourth.next(); got != changed || fourth.LastID != "_4" {
		t.Errorf("%q, id %q: nothing is said twice", got, fourth.LastID)
	}
}

// TestClientsReconnect cuts the connections of clients while a call runs, one of ours by each way
// and the SDK's. The tool runs once, and each of its notices comes once.
func TestClientsReconnect(t *testing.T) {
	t.Parallel()
	ours := func(token string, noFastPath bool) func(*testing.T, string, chan float64) func() string {
		return func(t *testing.T, u string, seen chan float64) func() string {
			cs, err := client.Connect(t.Context(), client.Target{Transport: mcp.Streamable, URL: u + "/mcp",
				Trusted: strings.HasPrefix(token, "!"), Headers: map[string]string{"Authorization": "Bearer " + token}},
				client.Options{NoFastPath: noFastPath || fixture.NoFastPath})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := cs.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
			return func() string {
				res, err := cs.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "agent_walk",
					Input: json.RawMessage(`{"word":"town"}`), Back: agent.BackChannelFuncs{
						OnProgress: func(p agent.ProgressNotice) { seen <- p.Progress }}})
				if err != nil {
					t.Error(err)
				}
				return res.Text()
			}
		}
	}
	for name, join := range map[string]func(*testing.T, string, chan float64) func() string{
		"ours, fast": ours("ann", false), "ours, SDK": ours("ann", true), "ours, trusted": ours("!ann", false),
		"the SDK's, by a bridge": func(t *testing.T, u string, seen chan float64) func() string {
			fromClient, toBridge := io.Pipe()
			fromBridge, toClient := io.Pipe()
			b, err := bridge.New(t.Context(), client.Target{Transport: mcp.Streamable, URL: u + "/mcp",
				Headers: map[string]string{"Authorization": "Bearer ann"}}, client.Options{}, fromClient, toClient)
			if err != nil {
				t.Fatal(err)
			}
			ran := make(chan error, 1)
			go func() { ran <- b.Run(context.Background()); _ = toClient.Close() }()
			t.Cleanup(func() {
				_ = toBridge.Close()
				if err := fixture.Receive(t, "the end of the bridge", ran); err != nil {
					t.Error(err)
				}
			})
			cs, err := fixture.ConnectSDK(t, &sdk.IOTransport{Reader: fromBridge, Writer: toBridge}, "",
				&sdk.ClientOptions{
					ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
						seen <- r.Params.Progress
					}})
			if err != nil {
				t.Fatal(err)
			}
			return func() string { return theirCall(t, cs) }
		},
		"the SDK's": func(t *testing.T, u string, seen chan float64) func() string {
			base := &http.Transport{}
			t.Cleanup(base.CloseIdleConnections)
			cs, err := fixture.ConnectSDK(t,
				&sdk.StreamableClientTransport{Endpoint: u + "/mcp",
					HTTPClient: &http.Client{Transport: fixture.Bearer{Token: "ann", Base: base}}},
				codec.Version20251125, &sdk.ClientOptions{
					ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
						seen <- r.Params.Progress
					}})
			if err != nil {
				t.Fatal(err)
			}
			return func() string { return theirCall(t, cs) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, dir := newSteps(), &fixture.Crew{}
			dir.Add(t, "agent", a.caps())
			s := newSite(t, dir, resumable(1<<20))
			at, err := url.Parse(s.url)
			if err != nil {
				t.Fatal(err)
			}
			proxy := communicatortest.NewProxy(t, at.Host)
			seen, done := make(chan float64, 100), make(chan string, 1)
			call := join(t, "http://"+proxy.Addr, seen)
			go func() { done <- call() }()
			fixture.Receive(t, "the beginning", a.said)
			if got := fixture.Receive(t, "progress", seen); got != 1 {
				t.Errorf("progress %v", got)
			}
			proxy.Sever()
			a.on <- true
			if got := fixture.Receive(t, "the answer", done); got != "walked to town" {
				t.Errorf("%q", got)
			}
			for want := range 4 {
				if got := fixture.Receive(t, "progress", seen); got != float64(want+2) {
					t.Errorf("progress %v, want %d", got, want+2)
				}
			}
			if n := a.runs.Load(); n != 1 || len(seen) > 0 {
				t.Errorf("the tool ran %d times, %d notices too many", n, len(seen))
			}
		})
	}
}

// theirCall is a call of walk with the SDK's client.
func theirCall(t *testing.T, cs *sdk.ClientSession) string {
	p := &sdk.CallToolParams{Name: "agent_walk", Arguments: fixture.Word{Word: "town"}}
	p.SetProgressToken("t")
	res, err := cs.CallTool(t.Context(), p)
	if err != nil {
		t.Error(err)
		return ""
	}
	return fixture.TextOf(res)
}

// TestLongStreamsAreClosed: a client of protocol 2026-07-28 with sessions has to come back for its
// answer, and does; one of an earlier version keeps its stream.
func TestLongStreamsAreClosed(t *testing.T) {
	a, dir := newSteps(), &fixture.Crew{}
	dir.Add(t, "agent", a.caps())
	o := resumable(1 << 20)
	o.Limits.Poll = 20 * time.Millisecond
	s := newSite(t, dir, o)
	r := s.rawSession(t, codec.Version20251125)
	st := r.open("POST", walk(1))
	if got := fmt.Sprint(st.rest()); got != "[progress 1]" || st.Retry != pollRetry {
		t.Errorf("%s, to come back in %v", got, st.Retry)
	}
	again := r.open("GET", "", codec.LastEventHeader, st.LastID)
	if got := fmt.Sprint(again.rest()); got != "[]" || again.status != 200 {
		t.Errorf("%d %s", again.status, got)
	}
	a.on <- true
	testkit.Eventually(t, "the call ends", func() bool { return s.InFlight() == 0 })
	if got := fmt.Sprint(r.open("GET", "", codec.LastEventHeader, st.LastID).rest()); got != wholeWalk {
		t.Errorf("%s", got)
	}
	old := s.rawSession(t, "2025-06-18")
	st = old.open("POST", walk(1))
	_ = st.next()
	time.AfterFunc(5*o.Limits.Poll, func() { a.on <- true })
	if got := fmt.Sprint(st.rest()); got != wholeWalk {
		t.Errorf("%s", got)
	}
}

// TestResumptionIsAChoice: without it nothing is numbered, and there is nothing to come back for.
func TestResumptionIsAChoice(t *testing.T) {
	a, dir := newSteps(), &fixture.Crew{}
	dir.Add(t, "agent", a.caps())
	s := newSite(t, dir, resumable(0))
	r := s.rawSession(t, codec.Version20251125)
	a.on <- true
	st := r.open("POST", walk(1))
	if got := st.rest(); len(got) == 0 || st.LastID != "" {
		t.Errorf("%s, id %q", got, st.LastID)
	}
	if got := r.open("GET", "", codec.LastEventHeader, "x_1").status; got != 400 {
		t.Errorf("%d", got)
	}
	// Nor does it concern the version without sessions.
	s = newSite(t, dir, resumable(1<<20))
	cs := s.join(t, way{transport: mcp.Streamable, token: "ann"}, nil)
	a.on <- true
	if got := fixture.TextOf(fixture.CallTool(t, cs, "agent_walk",
		fixture.Word{Word: "town"})); got != "walked to town" ||
		cs.InitializeResult().ProtocolVersion != codec.Version20260728 {
		t.Errorf("%q in %s", got, cs.InitializeResult().ProtocolVersion)
	}
	if len(s.http.events.sessions) != 0 {
		t.Error("something is kept of it")
	}
}

func readObject(data []byte, v any) bool {
	return bytes.HasPrefix(data, []byte("{")) && json.Unmarshal(data, v) == nil
}
