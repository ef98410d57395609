package mcpcmd

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/mcp"
)

// The clients that mcp config writes for, and where each keeps its configuration.
var configFiles = map[string]string{
	"vscode": ".vscode/mcp.json",
	"claude": "claude_desktop_config.json of the desktop app, or .mcp.json of the command line tool",
	"cursor": ".cursor/mcp.json",
}

// defaultTokenVar is where clients keep the gateway's token, unless somebody says otherwise.
const defaultTokenVar = "OPENMAS_TOKEN"

func configCommand(a *cli.App) *cobra.Command {
	var p cli.ProjectFlags
	var u cli.URLFlags
	var client, name string
	var stdio bool
	c := &cobra.Command{
		Use:   "config --client vscode|claude|cursor",
		Short: "Print the configuration with which an MCP client uses a system",
		Long: `Print JSON to paste into the configuration of an MCP client, for a project or for a system that runs at
a URL (--url).

A project with a gateway is reached there. With --stdio, or without a gateway, the client starts the project
itself: openmas run --stdio. A URL is reached directly, or with --stdio through a program that the client
starts: openmas mcp connect. The claude client only starts programs, as with --stdio.

The gateway's token is not printed: the client takes it from the place that the configuration names.`,
		Example: `  openmas mcp config --client vscode
  openmas mcp config --client claude --url http://127.0.0.1:8765`,
		Args: cli.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			if configFiles[client] == "" {
				return cli.Usage(fmt.Errorf("--client %q: want vscode, claude or cursor", client))
			}
			stdio = stdio || client == "claude"
			exe, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			e := entry{name: name, client: client, tokenVar: u.TokenEnv}
			switch {
			case u.URL == "":
				err = projectEntry(a, &e, &p, exe, stdio)
			case p.Given():
				err = errors.New("a project (--project, --profile, --set) or --url: one of them")
			default:
				err = e.reach(u.URL, exe, stdio)
			}
			if err != nil {
				return cli.Usage(err)
			}
			if e.tokenVar != "" {
				fmt.Fprintf(a.Err, "The token is taken from %s: %s.\n", e.tokenVar, e.tokenHint())
			}
			fmt.Fprintf(a.Err, "For %s:\n", configFiles[client])
			return cli.WriteJSON(a.Out, e.snippet())
		},
	}
	p.Register(c)
	c.Flags().StringVar(&client, "client", "", "`CLIENT`: vscode, claude or cursor")
	c.Flags().StringVar(&u.URL, "url", "", "the `URL` of a running system or any MCP server: http://127.0.0.1:8765")
	c.Flags().StringVar(&u.TokenEnv, "token-env", "", "the environment `VARIABLE` with the token (default "+
		defaultTokenVar+" where the project's gateway has one)")
	c.Flags().StringVar(&name, "name", "", "the `NAME` of the system in the client (default: the project's "+
		"name, or openmas)")
	c.Flags().BoolVar(&stdio, "stdio", false, "have the client start a program, instead of a request to the URL")
	return c
}

// entry is a server in a client's configuration: a program to start, or a URL.
type entry struct {
	name, client string
	argv         []string
	url          string
	sse          bool
	tokenVar     string // empty: no token
}

// projectEntry describes a project. It is read, not built.
func projectEntry(a *cli.App, e *entry, p *cli.ProjectFlags, exe string, stdio bool) error {
	cfg, err := a.ReadProject(p)
	if err != nil {
		return err
	}
	e.name = cmp.Or(e.name, cfg.Project)
	if !stdio && cfg.Gateway != nil {
		_, port, err := net.SplitHostPort(cfg.Gateway.Listen)
		if err != nil {
			return err
		}
		if port == "0" {
			return errors.New("gateway.listen has port 0, which is another one each time: say --stdio, or --url")
		}
		if cfg.Gateway.Token != "" {
			e.tokenVar = cmp.Or(e.tokenVar, defaultTokenVar)
		}
		host, _, _ := net.SplitHostPort(cfg.Gateway.Listen)
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		return e.reach("http://"+net.JoinHostPort(host, port), exe, false)
	}
	if e.tokenVar != "" {
		return errors.New("--token-env is for a URL: a project that the client starts asks for none")
	}
	args, err := p.Args(cfg)
	e.argv = append([]string{exe, "run", "--stdio"}, args...)
	return err
}

// reach describes a URL.
func (e *entry) reach(raw, exe string, stdio bool) error {
	t, err := (&cli.URLFlags{URL: raw}).Target(nil)
	if err != nil {
		return err
	}
	u, err := url.Parse(raw)
	if err != nil {
		return err
	}
	e.name = cmp.Or(e.name, "openmas")
	if stdio {
		e.argv = []string{exe, "mcp", "connect", "--stdio", "--url", raw}
		if e.tokenVar != "" {
			e.argv = append(e.argv, "--token-env", e.tokenVar)
		}
		return nil
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/mcp"
	}
	e.url, e.sse = u.String(), t.Transport == mcp.SSE
	return nil
}

// tokenPlace is how the client's configuration refers to the token.
func (e *entry) tokenPlace() string {
	switch e.client {
	case "vscode":
		return "${input:" + e.inputID() + "}"
	case "cursor":
		return "${env:" + e.tokenVar + "}"
	}
	return "PUT-THE-TOKEN-HERE"
}

func (e *entry) tokenHint() string {
	switch e.client {
	case "vscode":
		return "the editor asks for it once and keeps it"
	case "cursor":
		return "set it in the environment that the editor is started from"
	}
	return "replace PUT-THE-TOKEN-HERE"
}

func (e *entry) inputID() string {
	return strings.ToLower(strings.ReplaceAll(e.tokenVar, "_", "-"))
}

// orderedObject is a JSON object whose members keep their order.
type orderedObject []member

type member struct {
	key   string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o orderedObject) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// snippet is the whole file, for a client that has no other server yet.
func (e *entry) snippet() orderedObject {
	var one orderedObject
	typed := e.client == "vscode"
	switch {
	case e.url != "":
		kind := "http"
		if e.sse {
			kind = "sse"
		}
		if typed {
			one = append(one, member{"type", kind})
		}
		one = append(one, member{"url", e.url})
		if e.tokenVar != "" {
			one = append(one, member{"headers", orderedObject{{"Authorization", "Bearer " + e.tokenPlace()}}})
		}
	default:
		if typed {
			one = append(one, member{"type", "stdio"})
		}
		one = append(one, member{"command", e.argv[0]}, member{"args", e.argv[1:]})
		if e.tokenVar != "" {
			one = append(one, member{"env", orderedObject{{e.tokenVar, e.tokenPlace()}}})
		}
	}
	if e.client != "vscode" {
		return orderedObject{{"mcpServers", orderedObject{{e.name, one}}}}
	}
	out := orderedObject{{"servers", orderedObject{{e.name, one}}}}
	if e.tokenVar != "" {
		out = append(out, member{"inputs",
			[]orderedObject{{{"type", "promptString"}, {"id", e.inputID()}, {"description", "The token of " + e.name},
				{"password", true}}}})
	}
	return out
}
