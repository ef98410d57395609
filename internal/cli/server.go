package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/mcp"
)

// server are the flags that name an MCP server instead of a project.
type server struct{ url, command string }

func (s *server) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.url, "url", "", "a running system, or any MCP server: http://127.0.0.1:8765")
	c.Flags().StringVar(&s.command, "command", "", "an MCP server program to start: 'python3 server.py'")
}

func (s *server) named() bool { return s.url != "" || s.command != "" }

// connect makes a session. A URL without a path is tried as streamable HTTP, then as HTTP+SSE.
func (s *server) connect(ctx context.Context, log *slog.Logger, errOut io.Writer) (*mcp.Session, error) {
	o := mcp.ConnectOptions{Logger: log}
	if s.command != "" && s.url != "" {
		return nil, usage(errors.New("--url or --command: one of them"))
	}
	if s.command != "" {
		argv, err := splitCommand(s.command)
		if err != nil {
			return nil, usage(fmt.Errorf("--command: %w", err))
		}
		show := func(line []byte) { _, _ = fmt.Fprintf(errOut, "%s\n", line) } // what the server says to people; a broken stderr is no reason to stop
		return mcp.Connect(ctx, mcp.Target{Transport: mcp.Stdio, Command: argv, Stderr: show}, o)
	}
	u, err := url.Parse(s.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, usage(fmt.Errorf("--url %q: want http://host:port or https://host/path", s.url))
	}
	if u.User != nil {
		return nil, usage(errors.New("--url: no user and password in it, please: they end up in logs"))
	}
	sse := mcp.Target{Transport: mcp.SSE, URL: s.url}
	streamable := mcp.Target{Transport: mcp.Streamable, URL: s.url}
	switch {
	case strings.HasSuffix(u.Path, "/sse"):
		return mcp.Connect(ctx, sse, o)
	case u.Path != "" && u.Path != "/":
		return mcp.Connect(ctx, streamable, o)
	}
	session, err := mcp.Connect(ctx, streamable, o)
	if err == nil {
		return session, nil
	}
	if session, sseErr := mcp.Connect(ctx, sse, o); sseErr == nil {
		return session, nil
	}
	return nil, err
}

// closing ends a session at the end of a command.
func closing(ctx context.Context, s *mcp.Session) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return s.Close(ctx)
}

// splitCommand splits a command line as a shell does, with quotes and backslashes, and expands nothing.
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
