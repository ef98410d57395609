// Package access is who we are to others, and who others are to us: certificates, authorization and
// bearer tokens, as the project file has them.
package access

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/project"
)

// TLS reads the files of an agent's tls block. nil: the system's trust, no certificate.
func TLS(c *project.Config, agent string) (*tls.Config, error) {
	t := c.Agents[agent].TLS
	if t == (project.TLS{}) {
		return nil, nil
	}
	fail := func(key, format string, args ...any) (*tls.Config, error) {
		return nil, c.Errorf([]string{"agents", agent, "tls", key}, "agents.%s.tls.%s: %s", agent, key,
			fmt.Sprintf(format, args...))
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

// cause is the reason of a file error without the path, which the message has.
func cause(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// Authorize gives a target its handler: one for each, since each session authorizes by itself.
func Authorize(t *client.Target, o project.OAuth) error {
	if o == (project.OAuth{}) {
		return nil
	}
	var err error
	t.OAuth, err = client.OAuthClientCredentials(client.OAuthCredentials{ID: o.ClientID, Secret: o.ClientSecret,
		Server: t.URL, Issuer: o.Issuer, TLS: t.TLS})
	return err
}

// Identify returns how to tell who a client of the gateway is; nil: everybody is anonymous. Those
// who send wrong tokens are told later each time, and log hears of them.
func Identify(g *project.Gateway, log *slog.Logger) func(*http.Request) (server.Identity, error) {
	if g.Token == "" && len(g.Tokens) == 0 {
		return nil
	}
	t := &Tokens{strangers: &strangers{log: log}}
	for name, token := range g.Tokens {
		t.grant(token, server.Identity{Identity: agent.Identity{User: name}})
	}
	if g.Token != "" {
		t.grant(g.Token, server.Identity{Identity: agent.Identity{User: project.TokenUser}})
	}
	return t.Identify
}
