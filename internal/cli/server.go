package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/openmas/openmas/internal/logs"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
)

// URLFlags name an MCP server by its address: --url and --token-env. The flag names a variable,
// since everybody on the machine can read a token on the command line.
type URLFlags struct{ URL, TokenEnv string }

// Register adds the flags to a command.
func (u *URLFlags) Register(c *cobra.Command) {
	c.Flags().StringVar(&u.URL, "url", "", "the `URL` of a running system or any MCP server: http://127.0.0.1:8765")
	c.Flags().StringVar(&u.TokenEnv, "token-env", "", "the environment `VARIABLE` with the token for the URL")
}

// Target is the server at the URL. A URL without a path is taken for streamable HTTP. Errors are of
// usage.
func (u *URLFlags) Target(environ []string) (client.Target, error) {
	at, err := url.Parse(u.URL)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
		return client.Target{}, Usage(fmt.Errorf("--url %q: want http://host:port or https://host/path", u.URL))
	}
	if port, err := strconv.Atoi(at.Port()); at.Port() != "" && (err != nil || port < 1 || port > 65535) {
		return client.Target{}, Usage(fmt.Errorf("--url %q: there is no port %s, the last one is 65535", u.URL,
			at.Port()))
	}
	if at.User != nil {
		return client.Target{}, Usage(errors.New("--url: no user and password in it, please: they end up in logs"))
	}
	t := client.Target{Transport: mcp.TransportOf(at.Path), URL: u.URL}
	if u.TokenEnv != "" {
		i := slices.IndexFunc(environ, func(kv string) bool { return strings.HasPrefix(kv, u.TokenEnv+"=") })
		if i < 0 || environ[i] == u.TokenEnv+"=" {
			return client.Target{}, Usage(fmt.Errorf("--token-env: the environment variable %s is not set", u.TokenEnv))
		}
		t.Headers = map[string]string{"Authorization": "Bearer " + environ[i][len(u.TokenEnv)+1:]}
	}
	return t, nil
}

// serverFlags name an MCP server instead of a project: by its address, or a program to start.
type serverFlags struct {
	URLFlags
	command string
	flags   *pflag.FlagSet
	visits  bool // which page is to be visited is shown, if only to decline it
}

func (s *serverFlags) register(c *cobra.Command) {
	s.Register(c)
	s.flags = c.Flags()
	c.Flags().StringVar(&s.command, "command", "", "start an MCP server program: a `COMMAND` such as 'python3 "+
		"server.py'")
}

func (s *serverFlags) given() bool { return s.URL != "" || s.has("url") || s.has("command") }

// has reports whether the command has the flag, and it is given, if only as an empty text.
func (s *serverFlags) has(flag string) bool { return s.flags != nil && s.flags.Changed(flag) }

// connect makes a session to the server. A URL without a path is tried as streamable HTTP, then as
// HTTP+SSE.
func (a *App) connect(ctx context.Context, s *serverFlags, log *slog.Logger) (*client.Session, error) {
	o := client.Options{Logger: log, Visits: s.visits}
	if s.has("command") {
		if s.TokenEnv != "" {
			return nil, Usage(errors.New("--token-env is for a --url"))
		}
		argv, err := splitCommand(s.command)
		if err != nil {
			return nil, Usage(fmt.Errorf("--command: %w", err))
		}
		o.HandshakeTimeout = time.Minute // it may have to be installed first
		show := func(line []byte) { fmt.Fprintf(a.Err, "%s\n", logs.Visible(logs.StripColors(string(line)))) }
		return client.Connect(ctx, client.Target{Transport: mcp.Stdio, Command: argv, Stderr: show}, o)
	}
	t, err := s.Target(a.Environ)
	if err != nil {
		return nil, err
	}
	session, err := client.Connect(ctx, t, o)
	if at, parseErr := url.Parse(s.URL); err == nil || parseErr != nil || at.Path != "" && at.Path != "/" {
		return session, err
	}
	t.Transport = mcp.SSE
	if session, sseErr := client.Connect(ctx, t, o); sseErr == nil {
		return session, nil
	}
	return nil, err
}

// splitCommand splits a command line as a shell does, with quotes and backslashes, and expands
// nothing.
func splitCommand(line string) ([]string, error) {
	var argv []string
	var word strings.Builder
	var quote rune
	in, escaped := false, false
	for _, c := range line {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped, in = true, true
		case quote != 0:
			if c == quote {
				quote = 0
			} else {
				word.WriteRune(c)
			}
		case c == '\'' || c == '"':
			quote, in = c, true
		case c == ' ' || c == '\t' || c == '\n':
			if in {
				argv = append(argv, word.String())
				word.Reset()
			}
			in = false
		default:
			word.WriteRune(c)
			in = true
		}
	}
	if quote != 0 || escaped {
		return nil, fmt.Errorf("%q ends inside a quote", line)
	}
	if in {
		argv = append(argv, word.String())
	}
	if len(argv) == 0 {
		return nil, errors.New("it is empty")
	}
	return argv, nil
}
