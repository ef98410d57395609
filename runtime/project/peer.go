package project

import (
	"slices"
	"strings"
)

// TLS is for a url of https. Its files are PEM, relative to the project file, and read when
// the project is checked.
type TLS struct {
	// CAFile holds the certificates to trust, instead of the system's.
	CAFile string `koanf:"ca_file"`
	// CertFile and KeyFile are what this client shows of itself, where the server asks for it.
	CertFile string `koanf:"cert_file"`
	KeyFile  string `koanf:"key_file"`
}

// OAuth is the OAuth 2.0 client credentials grant. The MCP server says where its
// authorization server is.
type OAuth struct {
	ClientID     string `koanf:"client_id"`
	ClientSecret string `koanf:"client_secret"`
}

// peer checks what is about MCP servers that are not ours.
func (v *validator) peer(keys []string, a Agent) {
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
	if o := a.OAuth; o != (OAuth{}) && v.only(at("oauth"), url, urlOnly) {
		switch {
		case o.ClientID == "" || o.ClientSecret == "":
			v.fail(at("oauth"), "", "needs client_id and client_secret")
		case auth || a.Token != "":
			v.fail(at("oauth"), "keep one of them", "there is a token as well")
		}
	}
	if a.TLS != (TLS{}) && v.only(at("tls"), url, urlOnly) && (a.TLS.CertFile == "") != (a.TLS.KeyFile == "") {
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
			v.fail(at("allow_tools", Item(i)), "", "the tool's name is empty")
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
