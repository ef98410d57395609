package runtime

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/runtime/internal/projectfile"
)

// TLSConfig is for a url of https. Its files are PEM, relative to the project file, and read when
// the project is checked.
type TLSConfig struct {
	// CAFile holds the certificates to trust, instead of the system's.
	CAFile string `koanf:"ca_file"`
	// CertFile and KeyFile are what this client shows of itself, where the server asks for it.
	CertFile string `koanf:"cert_file"`
	KeyFile  string `koanf:"key_file"`
}

// load reads the files. nil: the system's trust, no certificate.
func (t TLSConfig) load(c *Config, agent string) (*tls.Config, error) {
	if t == (TLSConfig{}) {
		return nil, nil
	}
	fail := func(key, format string, args ...any) (*tls.Config, error) {
		keys := []string{"agents", agent, "tls", key}
		return nil, c.Errorf(keys, "%s: %s", projectfile.JoinPath(keys), fmt.Sprintf(format, args...))
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(c.Path(t.CAFile))
		if err != nil {
			return fail("ca_file", "%s cannot be read: %s", t.CAFile, cause(err))
		}
		if out.RootCAs = x509.NewCertPool(); !out.RootCAs.AppendCertsFromPEM(pem) {
			return fail("ca_file", "%s holds no certificate in PEM", t.CAFile)
		}
	}
	if t.CertFile != "" && t.KeyFile != "" {
		cert, err := tls.LoadX509KeyPair(c.Path(t.CertFile), c.Path(t.KeyFile))
		if err != nil {
			return fail("cert_file", "%v", err)
		}
		out.Certificates = []tls.Certificate{cert}
	}
	return out, nil
}

// OAuthConfig is the OAuth 2.0 client credentials grant. The MCP server says where its
// authorization server is.
type OAuthConfig struct {
	ClientID     string `koanf:"client_id"`
	ClientSecret string `koanf:"client_secret"`
}

// oauthTimeout bounds one request to an authorization server.
const oauthTimeout = 15 * time.Second

// apply gives a target its handler: one for each, since each session authorizes by itself.
func (o OAuthConfig) apply(t *mcp.Target) error {
	if o == (OAuthConfig{}) {
		return nil
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig, base.DisableKeepAlives = t.TLS, true // it is used once in a while
	var err error
	t.OAuth, err = mcp.ClientCredentials(o.ClientID, o.ClientSecret,
		&http.Client{Transport: base, Timeout: oauthTimeout})
	return err
}

// peer checks what is about MCP servers that are not ours.
func (v *validator) peer(keys []string, a AgentConfig) {
	at := func(key ...string) []string { return append(slices.Clone(keys), key...) }
	url, foreign := a.URL != "", a.URL != "" || len(a.Command) > 0
	const urlOnly, foreignOnly = "only a url has it", "only a command or url has it"
	auth := slices.ContainsFunc(sortedKeys(a.Headers), func(h string) bool {
		return strings.EqualFold(h, "Authorization")
	})
	if a.Token != "" || v.c.Position(at("token")...) != (Position{}) {
		if v.only(at("token"), url, urlOnly) && v.token(at("token"), a.Token) && auth {
			v.fail(at("token"), "keep one of them", "headers has an Authorization as well")
		}
	}
	if o := a.OAuth; o != (OAuthConfig{}) && v.only(at("oauth"), url, urlOnly) {
		switch {
		case o.ClientID == "" || o.ClientSecret == "":
			v.fail(at("oauth"), "", "needs client_id and client_secret")
		case auth || a.Token != "":
			v.fail(at("oauth"), "keep one of them", "there is a token as well")
		}
	}
	if a.TLS != (TLSConfig{}) && v.only(at("tls"), url, urlOnly) && (a.TLS.CertFile == "") != (a.TLS.KeyFile == "") {
		v.fail(at("tls"), "", "cert_file and key_file belong together")
	}
	if a.Sessions < 0 || a.Sessions > 64 {
		v.fail(at("sessions"), "", "must be 1 to 64, not %d", a.Sessions)
	} else if a.Sessions != 0 {
		v.only(at("sessions"), url, urlOnly+"; a command has replicas")
	}
	if a.AllowTools != nil {
		v.only(at("allow_tools"), foreign, foreignOnly)
	}
	for i, tool := range a.AllowTools {
		if tool == "" {
			v.fail(at("allow_tools", projectfile.Item(i)), "", "the tool's name is empty")
		}
	}
	if a.Protocol != "" && v.only(at("protocol"), foreign, foreignOnly) &&
		v.only(at("protocol"), a.Communicator != OverSSE, "mcp-sse speaks no later protocol than 2025-11-25") {
		v.word(at("protocol"), a.Protocol, "2025-11-25", "2026-07-28")
	}
	if len(a.Roots) > 0 {
		v.only(at("roots"), foreign, foreignOnly)
	}
}
