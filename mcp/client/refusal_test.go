package client

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// refusing is a server over HTTP that answers POSTs which hold a method with refuse, and all others
// well. With a session id it has sessions.
func refusing(t *testing.T, method, session string, refuse http.HandlerFunc) (url string, r *raw) {
	r = newRaw(nil)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		if req.Method != http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if strings.Contains(string(body), `"`+method+`"`) {
			refuse(w, req)
			return
		}
		if session != "" {
			w.Header().Set(codec.SessionHeader, session)
		}
		text := r.answer(body)
		if text == "" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, r
}

// A request that fails after others were answered is named, and the hint is not about the path.
func TestAHandshakeRefusedHalfway(t *testing.T) {
	for _, tt := range []struct {
		status  int
		session string
		code    agent.Code
		want    string
	}{
		{404, "", agent.CodeNotFound, "404 Not Found: nope: the path is right; the server's own log should say why"},
		{404, "abc", agent.CodeNotFound, "404 Not Found: nope: it has forgotten the session that it had just begun; do " +
			"several servers share this url, or did it restart?"},
		{400, "", agent.CodeInvalidArgument, "400 Bad Request: nope: the path is right; the server's own log should " +
			"say why"},
		{405, "abc", agent.CodeUnimplemented, "405 Method Not Allowed: nope: the path is right; the server's own log " +
			"should say why"},
		{401, "", agent.CodeUnauthenticated, "401 Unauthorized: nope: check the headers, it wants a token or another " +
			"one for this request"},
		{500, "abc", agent.CodeUnavailable, "500 Internal Server Error: nope: the path is right; the server's own log " +
			"should say why"},
	} {
		for _, off := range []bool{false, true} {
			url, _ := refusing(t, "tools/list", tt.session, func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "nope", tt.status)
			})
			_, err := Connect(t.Context(), Target{Name: "raw", Transport: mcp.Streamable, URL: url},
				Options{NoFastPath: off, Logger: fixture.Quiet})
			fixture.WantError(t, err, tt.code, true)
			want := "the server answered initialize, and tools/list with POST " + url + "/mcp: " + tt.want
			if err == nil || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("fast path off %v:\n got %v\nwant …%s", off, err, want)
			}
		}
	}
}

// A redirect that is not followed costs one call, which did not run: the error says where it leads
// and what to change. It leaves out what may be secret. The session goes on.
func TestRedirectsWithinASession(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		to     string
		want   string
	}{
		"301": {301, "/there?token=secret", "301 Moved Permanently: a redirect to $/there, where a POST would become a " +
			"GET: set the url to that"},
		"302": {302, "/there?token=secret", "302 Found: a redirect to $/there, where a POST would become a GET: set the " +
			"url to that"},
		"303": {303, "there", "303 See Other: a redirect to $/there, where a POST would become a GET: set the url to " +
			"that"},
		"no where": {307, "", "307 Temporary Redirect: a redirect that does not say where: it has no Location that is a URL"},
		"no URL": {308, "http://[", "308 Permanent Redirect: a redirect that does not say where: it has no Location " +
			"that is a URL"},
		"304": {304, "", "304 Not Modified: a redirect that does not say where: it has no Location that is a URL"},
		"elsewhere": {307, "https://user:secret@example.org/mcp?secret", "307 Temporary Redirect: a redirect to " +
			"another origin, https://example.org/mcp, is not followed: set the url to that if it is to be trusted"},
	} {
		redirect := func(w http.ResponseWriter, _ *http.Request) {
			if tt.to != "" {
				w.Header().Set("Location", tt.to)
			}
			w.WriteHeader(tt.status)
		}
		for _, off := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, !off), func(t *testing.T) {
				o := Options{NoFastPath: off, Logger: fixture.Quiet}
				url, r := refusing(t, "bad", "abc", redirect)
				s := mustConnect(t, Target{Name: "raw", Transport: mcp.Streamable, URL: url}, o)
				want := "POST " + url + "/mcp: " + strings.ReplaceAll(tt.want, "$", url)
				for range 2 {
					_, err := call(t.Context(), s, "bad", nil, nil)
					e := fixture.WantError(t, err, agent.CodeUnavailable, true)
					if !strings.HasSuffix(e.Message, want) || strings.Contains(e.Message, "secret") {
						t.Errorf("\n got %v\nwant %s", e, want)
					}
				}
				mustCall(t, s, "good", nil, nil)
				if n := r.asked["tools/call"]; n != 1 || s.Err() != nil {
					t.Errorf("asked %d times, %v", n, s.Err())
				}
				url, _ = refusing(t, "initialize", "", redirect)
				_, err := Connect(t.Context(), Target{Name: "raw", Transport: mcp.Streamable, URL: url}, o)
				want = "the server answered POST " + url + "/mcp: " + strings.ReplaceAll(tt.want, "$", url)
				if err == nil || !strings.HasSuffix(err.Error(), want) {
					t.Errorf("the handshake:\n got %v\nwant %s", err, want)
				}
			})
		}
	}
}

// One that keeps the message and leads to the same server is followed, in a session too.
func TestARedirectThatIsFollowed(t *testing.T) {
	for _, off := range []bool{false, true} {
		url, r := refusing(t, "x", "abc", nil)
		moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/mcp" && req.Method == http.MethodPost {
				http.Redirect(w, req, "/new", http.StatusPermanentRedirect)
				return
			}
			again, err := http.NewRequestWithContext(req.Context(), req.Method, url+"/mcp", req.Body)
			if err != nil {
				t.Error(err)
				return
			}
			again.Header = req.Header
			resp, err := http.DefaultClient.Do(again)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			for k, v := range resp.Header {
				w.Header()[k] = v
			}
			w.WriteHeader(resp.StatusCode)
			_, _ = io.Copy(w, resp.Body)
		}))
		t.Cleanup(moved.Close)
		s := mustConnect(t, Target{Name: "raw", Transport: mcp.Streamable, URL: moved.URL},
			Options{NoFastPath: off, Logger: fixture.Quiet})
		mustCall(t, s, "good", nil, nil)
		mustCall(t, s, "good", nil, nil)
		if n := r.asked["tools/call"]; n != 2 {
			t.Errorf("fast path off %v: it ran %d times", off, n)
		}
	}
}

// The request for the rest of a response that broke is redirected: the call has run, and is not
// made again.
func TestARedirectOfTheRest(t *testing.T) {
	for _, off := range []bool{false, true} {
		r, calls := newRaw(nil), 0
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body, err := io.ReadAll(req.Body)
			switch {
			case err != nil:
				t.Error(err)
			case req.Method == http.MethodGet && req.Header.Get(codec.LastEventHeader) != "":
				w.WriteHeader(http.StatusFound)
			case req.Method != http.MethodPost:
				w.WriteHeader(http.StatusMethodNotAllowed)
			case strings.Contains(string(body), `"tools/call"`):
				calls++
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, "id: 1\nretry: 1\ndata:\n\n")
			default:
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, r.answer(body))
			}
		}))
		s := mustConnect(t, Target{Name: "raw", Transport: mcp.Streamable, URL: srv.URL},
			Options{NoFastPath: off, Logger: fixture.Quiet})
		_, err := call(t.Context(), s, "good", nil, nil)
		fixture.WantError(t, err, agent.CodeOutcomeUnknown, false)
		if calls != 1 || err == nil || !strings.Contains(err.Error(), "the server answered 302 Found") {
			t.Errorf("fast path off %v: it ran %d times: %v", off, calls, err)
		}
		srv.CloseClientConnections()
		srv.Close()
	}
}
