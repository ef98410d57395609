package ops

import (
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// Probes answer those who watch a process and call none of its tools: GET /livez, which is 200
// while the process lives; /readyz, which is 503 while it cannot take work; and /metrics. It is an
// http.Handler, safe for concurrent use.
type Probes struct {
	// Ready says why the system cannot take work: see [ServerOptions.Ready].
	Ready func() error
	// Metrics serves /metrics; nil: there are none.
	Metrics http.Handler
	// Token, if not empty, is what a scraper has to send as "Authorization: Bearer". Who asks
	// whether the system is ready without it gets no reason.
	Token string
}

// ServeHTTP implements http.Handler.
func (p Probes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path != "/livez" && path != "/readyz" && (path != "/metrics" || p.Metrics == nil):
		http.Error(w, "what is here: "+p.paths(), http.StatusNotFound)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "it is there to be read", http.StatusMethodNotAllowed)
	case path == "/livez":
		answer(w, http.StatusOK, "ok", "")
	case path == "/readyz":
		switch err := p.Ready(); {
		case err == nil:
			answer(w, http.StatusOK, "ok", "")
		case p.known(r):
			answer(w, http.StatusServiceUnavailable, "not ready", err.Error())
		default:
			answer(w, http.StatusServiceUnavailable, "not ready", "")
		}
	case !p.known(r):
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "scrapers need the token of ops.token, as Authorization: Bearer", http.StatusUnauthorized)
	default:
		p.Metrics.ServeHTTP(w, r)
	}
}

func (p Probes) paths() string {
	if p.Metrics == nil {
		return "/livez and /readyz"
	}
	return "/livez, /readyz and /metrics"
}

func (p Probes) known(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return p.Token == "" || strings.EqualFold(scheme, "Bearer") &&
		subtle.ConstantTimeCompare([]byte(strings.TrimSpace(token)), []byte(p.Token)) == 1
}

// answer writes what gateways answer.
func answer(w http.ResponseWriter, code int, status, reason string) {
	body := struct {
		Status string `json:"status"`
		Reason string `json:"reason,omitempty"`
	}{status, reason}
	text, err := json.Marshal(body)
	if err != nil {
		text = []byte("{}") // texts can always be written
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, string(text)+"\n") // who is gone does not matter
}
