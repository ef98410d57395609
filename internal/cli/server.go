package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
)

// server are the flags that name an MCP server instead of a project.
type server struct{ url, command, tokenEnv string }

func (s *server) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.url, "url", "", "a running system, or any MCP server: http://127.0.0.1:8765")
	c.Flags().StringVar(&s.command, "command", "", "an MCP server program to start: 'python3 server.py'")
	s.tokenFlag(c)
}

// tokenFlag names a variable, since a token on the command line can be read by everybody on the
// machine.
func (s *server) tokenFlag(c *cobra.Command) {
	c.Flags().StringVar(&s.tokenEnv, "token-env", "", "the environment variable with the token for the URL")
}

// target is the server of the URL. One without a path is taken for streamable HTTP.
func (s *server) target(environ []string) (client.Target, error) {
	u, err := url.Parse(s.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return client.Target{}, fmt.Errorf("--url %q: want http://host:port or https://host/path", s.url)
	}
	if u.User != nil {
		return client.Target{}, errors.New("--url: no user and password in it, please: they end up in logs")
	}
	t := client.Target{Transport: mcp.Streamable, URL: s.url}
	if strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/sse") {
		t.Transport = mcp.SSE
	}
	if s.tokenEnv != "" {
		i := slices.IndexFunc(environ, func(kv string) bool { return strings.HasPrefix(kv, s.tokenEnv+"=") })
		if i < 0 || environ[i] == s.tokenEnv+"=" {
			return client.Target{}, fmt.Errorf("--token-env: the environment variable %s is not set", s.tokenEnv)
		}
		t.Headers = map[string]string{"Authorization": "Bearer " + environ[i][len(s.tokenEnv)+1:]}
	}
	return t, nil
}

func (s *server) named() bool { return s.url != "" || s.command != "" }

// connect makes a session. A URL without a path is tried as streamable HTTP, then as HTTP+SSE.
func (s *server) connect(ctx context.Context, log *slog.Logger, environ []string, errOut io.Writer) (*client.Session,
	error) {
	o := client.Options{Logger: log}
	if s.command != "" && s.url != "" {
		return nil, usage(errors.New("--url or --command: one of them"))
	}
	if s.command != "" {
		if s.tokenEnv != "" {
			return nil, usage(errors.New("--token-env is for a --url"))
		}
		argv, err := splitCommand(s.command)
		if err != nil {
			return nil, usage(fmt.Errorf("--command: %w", err))
		}
		// what the server says to people; a broken stderr is no reason to stop
		show := func(line []byte) { _, _ = fmt.Fprintf(errOut, "%s\n", line) }
		return client.Connect(ctx, client.Target{Transport: mcp.Stdio, Command: argv, Stderr: show}, o)
	}
	t, err := s.target(environ)
	if err != nil {
		return nil, usage(err)
	}
	session, err := client.Connect(ctx, t, o)
	if u, parseErr := url.Parse(s.url); err == nil || parseErr != nil || u.Path != "" && u.Path != "/" {
		return session, err
	}
	t.Transport = mcp.SSE
	if session, sseErr := client.Connect(ctx, t, o); sseErr == nil {
		return session, nil
	}
	return nil, err
}

// closing ends a session at the end of a command.
func closing(ctx context.Context, s *client.Session) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return s.Close(ctx)
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
