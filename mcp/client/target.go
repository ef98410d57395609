package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"path"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/child"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// A Target is an MCP server and the way to it: a URL, a program that speaks on stdin and stdout, or
// a program that is a server of SSE or streamable HTTP and announces its address as
// SSE_SERVER_URL=http://host:port on its output. Headers, Env, Hello and the arguments of Command
// may hold secrets: they never appear in a log or an error.
type Target struct {
	// Name is the agent's name, for the Info and for people.
	Name      string
	Transport mcp.Transport
	// URL of the server, for SSE and Streamable; without a path it gets /sse or /mcp. With Command
	// it may hold the path only.
	URL string
	// Socket is the path of a Unix socket where the server of URL listens, in place of the URL's
	// host and port. Empty: there is none.
	Socket string
	// Headers are sent with every request, to the origin of URL only.
	Headers map[string]string
	// TLS is for URLs of https; nil: the system's trust. It must not be changed.
	TLS *tls.Config
	// OAuth gets a token when the server answers 401 or 403, and puts it on every request to the
	// origin of URL. nil: nobody does. See [OAuthClientCredentials].
	OAuth auth.OAuthHandler
	// Command is the argument vector, run without a shell. Command[0] with a slash is relative to
	// Dir.
	Command []string
	// Streams opens what a server that runs already writes to and reads from, in place of Command:
	// one in this process, or one that is reached in a way of its own. The session closes both.
	// Stdio only; nil: there is a Command.
	Streams func(context.Context) (fromServer io.ReadCloser, toServer io.WriteCloser, err error)
	// Dir is the program's working directory; empty: this process's.
	Dir string
	// Env is added to PATH, HOME, LANG, TZ and VIRTUAL_ENV, which the program inherits.
	Env map[string]string
	// Stderr gets each line of the program's stderr (for SSE and Streamable, of its stdout too),
	// without overlap. The line is valid during the call, which must return. May be nil.
	Stderr func(line []byte)
	// Hello is a line written to the program's stdin before JSON-RPC, without a line break. Stdio
	// only; nil: none.
	Hello []byte
	// Protocol is the newest version of the protocol that is tried: empty or "2025-11-25", which
	// any server may answer with an earlier one; or "2026-07-28", which many servers do not know
	// yet. One that does not take the question is asked again in the earlier way, with its program
	// started anew. SSE has no later protocol than 2025-11-25.
	Protocol string
	// Trusted says that the server is a process of our own project: a child or its parent, an agent
	// on a private listener, or the operations socket. It is told who calls, and what it says in
	// openmas/ keys is believed: whom a question is for, codes of errors, what did not run. Of any
	// other server these keys are dropped. This is the one place that decides it.
	Trusted bool
	// Baggage says that a server which is not Trusted gets the W3C baggage of calls too, and not
	// their trace context alone.
	Baggage bool
}

// Check refuses what cannot be connected.
func (t *Target) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch t.Transport {
	case mcp.Stdio:
		if len(t.Command) == 0 && t.Streams == nil {
			bad("transport stdio needs a command, or streams")
		}
		if t.Streams != nil && (len(t.Command) > 0 || t.Hello != nil) {
			bad("streams have no command and no hello line")
		}
		if t.URL != "" || t.Socket != "" || len(t.Headers) > 0 {
			bad("transport stdio has no URL, no socket and no headers")
		}
	case mcp.SSE, mcp.Streamable:
		if t.Hello != nil || t.Streams != nil {
			bad("only transport stdio has a hello line or streams")
		}
		if len(t.Command) == 0 && t.URL == "" {
			bad("transport %s needs a URL, or the command of a server that announces one", t.Transport)
		}
		if t.Socket != "" && (t.URL == "" || len(t.Command) > 0) {
			bad("a socket needs a URL, and no command")
		}
		if u, err := url.Parse(t.URL); len(t.Command) > 0 && (err != nil || u.Host != "") {
			bad("with a command, the URL is a path: the server announces the rest")
		}
	default:
		bad("unknown transport %q: want %s, %s or %s", t.Transport, mcp.Stdio, mcp.SSE, mcp.Streamable)
	}
	if t.Protocol != "" && t.Protocol != codec.Version20251125 && t.Protocol != codec.Version20260728 {
		bad("protocol %q: want %s or %s", t.Protocol, codec.Version20251125, codec.Version20260728)
	}
	if slices.Contains(t.Hello, '\n') {
		bad("the hello line holds a line break")
	}
	if err := errors.Join(errs...); err != nil {
		return agent.Refusedf(agent.CodeInvalidArgument, "%s: %w", t, err)
	}
	return nil
}

// String names the target for people, without its secrets: the URL without user and query, the
// socket, or the program without its arguments.
func (t *Target) String() string {
	where := "?"
	switch {
	case len(t.Command) > 0:
		where = path.Base(t.Command[0])
	case t.Streams != nil:
		where = "streams"
	case t.Socket != "":
		where = t.Socket
	case t.URL != "":
		where = bareURL(t.URL)
	}
	if t.Name == "" {
		return where
	}
	return t.Name + " (" + where + ")"
}

func bareURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "an invalid URL"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// Endpoint completes the address of a server over HTTP: announced is what a launched one says, else
// empty.
func (t *Target) Endpoint(announced string) (string, error) {
	raw := t.URL
	if announced != "" {
		base, err := url.Parse(announced)
		if err != nil {
			return "", fmt.Errorf("the announced address: %w", err)
		}
		if base, err = base.Parse(t.URL); err != nil {
			return "", fmt.Errorf("the path: %w", err)
		}
		raw = base.String()
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("%s is no URL of http or https", bareURL(raw))
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = t.Transport.Endpoint()
	}
	return u.String(), nil
}

// Find looks for the target's program, and returns why [Connect] would not find it; nil where it
// would, or where there is none to start.
func (t *Target) Find() error {
	if len(t.Command) == 0 {
		return nil
	}
	spec := child.Spec{Command: t.Command, Dir: t.Dir, Env: t.Env}
	return spec.Find()
}

// A Sight is what there is of the programs and files that a command names, at one moment.
type Sight = child.Sight

// Look looks for what the target's command names, in words that other programs may be told too.
func (t *Target) Look() Sight {
	spec := child.Spec{Command: t.Command, Dir: t.Dir, Env: t.Env}
	return spec.Look()
}

// clone keeps the session from later changes by its owner.
func (t Target) clone() Target {
	t.Headers, t.Env = maps.Clone(t.Headers), maps.Clone(t.Env)
	t.Command, t.Hello = slices.Clone(t.Command), slices.Clone(t.Hello)
	return t
}
