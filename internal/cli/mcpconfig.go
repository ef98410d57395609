package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/runtime/project"
)

// The clients that mcp-config writes for, and where each keeps its configuration.
var configFiles = map[string]string{
	"vscode": ".vscode/mcp.json",
	"claude": "claude_desktop_config.json of the desktop app, or .mcp.json of the command line tool",
	"cursor": ".cursor/mcp.json",
}

// defaultTokenVar is where clients keep the gateway's token, unless somebody says otherwise.
const defaultTokenVar = "OPENMAS_TOKEN"

func (a *app) mcpConfigCommand() *cobra.Command {
	var p projectFlags
	var s server
	var client, name string
	var stdio bool
	c := &cobra.Command{
		Use:   "mcp-config --client vscode|claude|cursor [PROJECT | --url URL]",
		Short: "Print what an MCP client's configuration needs to use this system",
		Long: `Print JSON to paste into the configuration of an MCP client, for a project or for a system that runs at
a URL. A project with a gateway is reached there; with --stdio, and without a gateway, the client
starts the project itself. A URL is reached directly; with --stdio through "openmas connect".
The claude client starts programs only, so --stdio is implied.

The gateway's token is not printed. The snippet says where the client takes it from.`,
		Example: `  openmas mcp-config --client vscode
  openmas mcp-config --client claude --url http://127.0.0.1:8765`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if configFiles[client] == "" {
				return usage(fmt.Errorf("--client %q: want vscode, claude or cursor", client))
			}
			stdio = stdio || client == "claude"
			exe, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			e := entry{name: name, client: client, tokenVar: s.tokenEnv}
			if s.url != "" && len(args) > 0 {
				return usage(errors.New("a project or --url: one of them"))
			}
			if s.url == "" {
				err = a.projectEntry(&e, first(args), p, exe, stdio)
			} else {
				err = e.reach(s.url, exe, stdio)
			}
			if err != nil {
				return usage(err)
			}
			if e.tokenVar != "" {
				fmt.Fprintf(a.Err, "The token is taken from %s: %s.\n", e.tokenVar, e.tokenHint())
			}
			fmt.Fprintf(a.Err, "For %s:\n", configFiles[client])
			return writeJSON(a.Out, e.snippet())
		},
	}
	p.flags(c)
	c.Flags().StringVar(&client, "client", "", "vscode, claude or cursor")
	c.Flags().StringVar(&s.url, "url", "", "a running system, or any MCP server: http://127.0.0.1:8765")
	c.Flags().StringVar(&s.tokenEnv, "token-env", "", "the environment variable with the token (default "+
		defaultTokenVar+" where the project's gateway has one)")
	c.Flags().StringVar(&name, "name", "", "what the client calls the system (default: the project's name, or openmas)")
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
func (a *app) projectEntry(e *entry, path string, p projectFlags, exe string, stdio bool) error {
	if path == "" {
		wd, err := os.Getwd()
		if err != nil {
			return fmt.Errorf("find the working directory: %w", err)
		}
		if path, err = project.Find(wd); err != nil {
			return err
		}
	}
	cfg, err := project.Load(path, project.Options{Profile: p.profile, Environ: a.Environ, Set: p.set})
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
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	e.argv = []string{exe, "run", "--stdio"}
	if p.profile != "" {
		e.argv = append(e.argv, "--profile", p.profile)
	}
	for _, set := range p.set {
		e.argv = append(e.argv, "--set", set)
	}
	e.argv = append(e.argv, abs)
	return nil
}

// reach describes a URL.
func (e *entry) reach(raw, exe string, stdio bool) error {
	s := server{url: raw}
	t, err := s.target(nil)
	if err != nil {
		return err
	}
	u, err := url.Parse(raw)
	if err != nil {
		return err
	}
	e.name = cmp.Or(e.name, "openmas")
	if stdio {
		e.argv = []string{exe, "connect", "--stdio", "--url", raw}
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
