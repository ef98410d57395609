package oauth

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// site is an MCP server, or an authorization server, that answers by path.
type site struct {
	*httptest.Server
	asked   []string
	answers map[string]http.HandlerFunc
}

func newSite(t *testing.T) *site {
	s := &site{answers: map[string]http.HandlerFunc{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked = append(s.asked, r.URL.Path) // one request at a time
		if h := s.answers[r.URL.Path]; h != nil {
			h(w, r)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func says(v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
}

type m = map[string]any

const (
	resourcePath = "/.well-known/oauth-protected-resource"
	serverPath   = "/.well-known/oauth-authorization-server"
)

// issues makes s an authorization server.
func (s *site) issues() {
	s.answers[serverPath] = says(m{"issuer": s.URL, "token_endpoint": s.URL + "/token"})
	s.answers["/token"] = func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if id != "me" || secret != "open" {
			w.WriteHeader(http.StatusUnauthorized)
			says(m{"error": "invalid_client", "error_description": "who\nis it"})(w, r)
			return
		}
		says(m{"access_token": "t", "token_type": "Bearer", "scope": r.PostFormValue("scope")})(w, r)
	}
}

// authorize is what comes of an answer of 401.
func authorize(t *testing.T, c Config, challenge string) (*Handler, error) {
	t.Helper()
	if c.ID == "" {
		c.ID, c.Secret = "me", "open"
	}
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h, h.Authorize(t.Context(), nil, &http.Response{Header: http.Header{"Www-Authenticate": {challenge}},
		Body: io.NopCloser(strings.NewReader("no"))})
}

func TestATokenIsHad(t *testing.T) {
	far, issuer := newSite(t), newSite(t)
	issuer.issues()
	far.answers[resourcePath+"/mcp"] = says(m{"resource": far.URL + "/mcp", "scopes_supported": []string{"b"},
		"authorization_servers": []string{issuer.URL}})
	h, err := authorize(t, Config{Server: far.URL + "/mcp"}, "Bearer")
	if err != nil {
		t.Fatal(err)
	}
	source, err := h.TokenSource(t.Context())
	if err != nil || source == nil {
		t.Fatal(source, err)
	}
	if token, err := source.Token(); err != nil || token.AccessToken != "t" {
		t.Error(token, err)
	}
	// more is wanted: what was granted stays
	err = h.Authorize(t.Context(), nil, &http.Response{Header: http.Header{"Www-Authenticate": {`Bearer scope="a"`}},
		Body: http.NoBody})
	if err != nil || fmt.Sprint(h.granted) != fmt.Sprintf("map[%s:[a b]]", issuer.URL) {
		t.Error(h.granted, err)
	}
}

// Without metadata it is as in protocol 2025-03-26, and an error says what was tried.
func TestWithoutMetadata(t *testing.T) {
	far := newSite(t)
	far.issues()
	delete(far.answers, serverPath)
	if _, err := authorize(t, Config{Server: far.URL + "/mcp"}, "Bearer"); err != nil {
		t.Error(err)
	}
	delete(far.answers, "/token")
	_, err := authorize(t, Config{Server: far.URL + "/mcp"}, "Bearer")
	for _, part := range []string{"gives no token: it answers 404",
		"has no resource metadata: " + far.URL + resourcePath + "/mcp: 404 Not Found",
		far.URL + resourcePath + ": 404"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("no %q in %v", part, err)
		}
	}
}

// What a stranger names is not asked where it must not be, and the error says why.
func TestWhatIsNotAsked(t *testing.T) {
	inner := newSite(t) // what only this machine reaches
	inner.issues()
	at := func(host string) string { return strings.Replace(inner.URL, "127.0.0.1", host, 1) }
	names := func(far *site, issuer string) {
		far.answers[resourcePath] = says(m{"resource": far.URL, "authorization_servers": []string{issuer}})
	}
	for name, c := range map[string]struct {
		does      func(far *site)
		challenge string
		issuer    string
		says      string
	}{
		"resource metadata elsewhere": {nil, `Bearer resource_metadata="` + inner.URL + `/x"`, "",
			"is not its own origin"},
		"a redirect of it": {func(far *site) {
			far.answers[resourcePath] = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, inner.URL+"/x", http.StatusFound)
			}
			far.answers["/token"] = http.NotFound
		}, "Bearer", "", "it redirects to another origin, " + inner.URL + ": that is not followed"},
		"of another resource": {func(far *site) {
			far.answers[resourcePath] = says(m{"resource": "https://example.org/mcp",
				"authorization_servers": []string{inner.URL}})
		}, "Bearer", "", `it is about the resource "https://example.org/mcp"`},
		"no server named": {func(far *site) {
			far.answers[resourcePath] = says(m{"resource": far.URL})
		}, "Bearer", "", "it names no authorization server"},
		"no JSON": {func(far *site) {
			far.answers[resourcePath] = func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "<html>")
			}
		}, "Bearer", "", "it is no metadata"},
		"a private address": {func(far *site) { names(far, "https://10.1.2.3") }, "Bearer", "",
			"10.1.2.3 is an address of a private network"},
		"the cloud's secrets": {func(far *site) { names(far, "https://169.254.169.254") }, "Bearer", "",
			"169.254.169.254 is no address of a server"},
		"another file": {func(far *site) { names(far, "file:///etc/passwd") }, "Bearer", "",
			"is no http:// or https:// URL"},
		"another than the pin": {func(far *site) { names(far, inner.URL) }, "Bearer", "https://example.org",
			"which oauth.issuer does"},
		"a wrong issuer": {func(far *site) {
			names(far, far.URL)
			far.answers[serverPath] = says(m{"issuer": "https://example.org", "token_endpoint": inner.URL + "/token"})
		}, "Bearer", "", `it is about the issuer "https://example.org"`},
		"a token endpoint in a private network": {func(far *site) {
			names(far, far.URL)
			far.answers[serverPath] = says(m{"issuer": far.URL, "token_endpoint": "https://192.168.0.1/token"})
		}, "Bearer", "", "192.168.0.1 is an address of a private network"},
		"a redirect of the secret": {func(far *site) {
			names(far, far.URL)
			far.answers[serverPath] = says(m{"issuer": far.URL, "token_endpoint": far.URL + "/token"})
			far.answers["/token"] = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, inner.URL+"/token", http.StatusTemporaryRedirect)
			}
		}, "Bearer", "", "it redirects to another origin"},
	} {
		far := newSite(t)
		if c.does != nil {
			c.does(far)
		}
		_, err := authorize(t, Config{Server: far.URL, Issuer: c.issuer}, c.challenge)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "open") {
			t.Errorf("%s: %v, want %s", name, err, c.says)
		}
	}
	// a server that is elsewhere leads nowhere on this machine, by an address, a name or plain http
	for host, want := range map[string]string{at("127.0.0.1"): "is not https",
		strings.Replace(at("127.0.0.1"), "http:", "https:", 1): "127.0.0.1 is an address of this machine",
		strings.Replace(at("localhost"), "http:", "https:", 1): "is an address of this machine",
		strings.Replace(at("[::1]"), "http:", "https:", 1):     "::1 is an address of this machine"} {
		h, err := New(Config{ID: "me", Secret: "open", Server: "https://192.0.2.7/mcp"})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.get(t.Context(), host+serverPath, &m{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", host, err, want)
		}
		pinned, err := New(Config{ID: "me", Secret: "open", Server: "https://192.0.2.7/mcp", Issuer: inner.URL})
		if err != nil {
			t.Fatal(err)
		}
		if err := pinned.get(t.Context(), inner.URL+serverPath, &m{}); err != nil {
			t.Errorf("the project's own word: %v", err)
		}
	}
	if len(inner.asked) != 4 {
		t.Errorf("asked: %q", inner.asked)
	}
}

func TestPlaces(t *testing.T) {
	for text, want := range map[string]place{"1.1.1.1": public, "2606:4700::1111": public, "127.3.4.5": local,
		"::1": local, "::ffff:127.0.0.1": local, "10.0.0.1": private, "172.31.0.1": private,
		"::ffff:192.168.1.1": private,
		"fd00::1":            private, "100.100.1.1": private, "169.254.169.254": nowhere, "fe80::1%eth0": nowhere,
		"0.0.0.0": nowhere, "::": nowhere, "224.0.0.1": nowhere, "64:ff9b::7f00:1": nowhere,
		"255.255.255.255": nowhere} {
		if got := placeOf(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
	for server, want := range map[string]place{"http://127.0.0.1:1": local, "http://LOCALHOST.:1": local,
		"http://a.localhost": local, "https://10.0.0.1": private, "https://1.1.1.1": public,
		"https://no-such.invalid": public} {
		u, err := url.Parse(server)
		if err != nil {
			t.Fatal(err)
		}
		if got := (&guard{server: u}).place(t.Context()); got != want {
			t.Errorf("%s is at %s, want %s", server, got, want)
		}
	}
}

func TestWrongConfigs(t *testing.T) {
	for _, c := range []Config{{Server: "https://a"}, {ID: "me", Secret: "x", Server: "a"},
		{ID: "me", Secret: "x", Server: "https://a", Issuer: "ftp://a"}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func TestWellKnown(t *testing.T) {
	u, err := url.Parse("https://a.example/tenant/")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(wellKnown(*u), " "); got !=
		"https://a.example/.well-known/oauth-authorization-server/tenant "+
			"https://a.example/.well-known/openid-configuration/tenant "+
			"https://a.example/tenant/.well-known/openid-configuration" {
		t.Error(got)
	}
}
