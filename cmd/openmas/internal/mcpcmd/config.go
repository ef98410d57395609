package mcpcmd

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/runtime/project"
)

// The clients that mcp config writes for, and where each keeps its configuration.
var configFiles = map[string]string{
	"vscode": ".vscode/mcp.json",
	"claude": "claude_desktop_config.json of the desktop app, or .mcp.json of the command line tool",
	"cursor": ".cursor/mcp.json",
}

func configCommand(a *cli.App) *cobra.Command {
	var p cli.ProjectFlags
	var u cli.URLFlags
	var client, name, program string
	var stdio bool
	c := &cobra.Command{
		Use:   "config --client vscode|claude|cursor",
		Short: "Print the configuration with which an MCP client uses a system",
		Long: `Print JSON to paste into the configuration of an MCP client, for a project or for a system that runs at
a URL (--url).

A project with a gateway is reached there. With --stdio, or without a gateway, the client starts the project
itself: openmas run --stdio, or the same with the program of --program. A URL is reached directly, or with
--stdio through a program that the client starts: openmas mcp connect. The claude client only starts
programs, as with --stdio.

The gateway's token is not printed, and no secret that --set sets: the client takes them from the places that
the configuration names.`,
		Example: `  openmas mcp config --client vscode
  openmas mcp config --client claude --url http://127.0.0.1:8765`,
		Args: cli.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			if configFiles[client] == "" {
				return cli.Usage(fmt.Errorf("--client %q: want vscode, claude or cursor", client))
			}
			stdio = stdio || client == "claude" || program != ""
			exe, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			if program != "" {
				if exe, err = programPath(program); err != nil {
					return cli.Usage(err)
				}
			}
			e := entry{name: name, client: client, tokenVar: u.TokenEnv}
			switch {
			case u.URL == "":
				err = projectEntry(a, &e, &p, exe, stdio, program != "")
			case program != "":
				err = errors.New("--program serves a project: it does not go with --url")
			case p.Given():
				err = errors.New("a project (--project, --profile, --set) or --url: one of them")
			default:
				err = e.reach(u.URL, exe, stdio)
			}
			if err != nil {
				return cli.Usage(err)
			}
			if e.tokenVar != "" {
				fmt.Fprintf(a.Err, "The token is taken from %s: %s.\n", e.tokenVar, e.hint(e.tokenVar))
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
	c.Flags().StringVar(&program, "program", "", "have the client start this `FILE` for a project, instead of "+
		"openmas: a "+
		"program that calls openmas.Main")
	c.Flags().BoolVar(&stdio, "stdio", false, "have the client start a program, instead of a request to the URL")
	return c
}

// programPath is the absolute path of a program, which a client finds in whatever folder it runs:
// of the file in this folder, else of one in PATH.
func programPath(program string) (string, error) {
	path, err := exec.LookPath(program)
	if filepath.Base(program) == program {
		if here, missing := exec.LookPath("." + string(filepath.Separator) + program); missing == nil {
			path, err = here, nil
		}
	}
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return "", fmt.Errorf("--program: %w", err)
	}
	return filepath.Abs(path)
}

// projectEntry describes a project. It is read, not built. With own, exe is a program with the
// project's types, else it is openmas.
func projectEntry(a *cli.App, e *entry, p *cli.ProjectFlags, exe string, stdio, own bool) error {
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
	if !own {
		if err := servedByOpenmas(a, cfg); err != nil {
			return err
		}
	}
	args, err := p.Args(cfg)
	keys := e.hide(args, func(key, value string) bool {
		return cfg.Redact(value) != value || secretKey.MatchString(key)
	})
	for _, v := range e.hidden {
		fmt.Fprintf(a.Err, "The value of %s is not printed, but taken from %s: %s.\n", keys[v], v, e.hint(v))
	}
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
		u.Path = mcp.StreamableEndpoint
	}
	e.url, e.sse = u.String(), t.Transport == mcp.SSE
	return nil
}

// secretKey is a key whose value is a secret, whatever it is.
var secretKey = regexp.MustCompile(`(?i)(token|secret|passw|key|authorization|credential)[a-z_]*["']?$`)

// servedByOpenmas checks that `openmas run` can serve the project: it has no agent types, but it
// can build the package that the project names, and become it.
func servedByOpenmas(a *cli.App, cfg *project.Config) error {
	if cfg.Package != "" {
		fmt.Fprintf(a.Err, "The client starts openmas, which builds %s: the client needs the go command in its PATH. "+
			"--program names a program that is built already.\n", cfg.Path(cfg.Package))
		return nil
	}
	for _, name := range cfg.AgentNames() {
		if t := cfg.Agents[name].Type; t != "" && a.Types[t] == nil {
			return fmt.Errorf("agent %s: openmas has no type %q; name the Go package that has it under package: in "+
				"%s, or "+
				"the program that has it with --program", name, t, cfg.File)
		}
	}
	return nil
}
