package mcpcmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/cmd/openmas/internal/mcpimport"
	"github.com/openmas/openmas/internal/cli"
)

// maxImport bounds the file that import reads.
const maxImport = 4 << 20

func importCommand(a *cli.App) *cobra.Command {
	var opts mcpimport.Options
	var into string
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Make agents of the servers in an MCP client's configuration",
		Long: `Print the servers of an MCP client's configuration as the agents of a project file. FILE is what a client
reads: JSON of Claude, Cursor, VS Code, Zed, opencode, Cherry Studio and others, Codex' TOML, Continue's
YAML; - is standard input.

Secrets are not copied: what could be one becomes ${env:NAME}, with a note. What a project file cannot
express is noted on standard error, and as a comment.`,
		Example: `  openmas mcp import ~/.cursor/mcp.json > openmas.yaml
  openmas mcp import --into openmas.yaml ~/.codex/config.toml`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := readImport(a, args[0])
			if err != nil {
				return err
			}
			agents, notes, err := mcpimport.Read(text, opts)
			for _, note := range notes {
				fmt.Fprintf(a.Err, "note: %s\n", note)
			}
			if err == nil && into != "" {
				return importInto(a, into, agents)
			}
			tell(a, agents)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if _, err := io.WriteString(a.Out, mcpimport.Write(agents)); err != nil {
				return err
			}
			next(a, "", agents, false)
			return nil
		},
	}
	c.Flags().StringVar(&into, "into", "", "add the agents to the project `FILE`, and leave all else of it as it is")
	c.Flags().BoolVar(&opts.KeepSecrets, "keep-secrets", false, "copy secrets in clear")
	c.Flags().BoolVar(&opts.Disabled, "disabled", false, "servers that are disabled become agents too")
	return c
}

// tell prints the notes of agents.
func tell(a *cli.App, agents []*mcpimport.Agent) {
	for _, one := range agents {
		for _, note := range one.Notes {
			fmt.Fprintf(a.Err, "note: %s\n", note)
		}
	}
}

// next says what was made, and how it is used. file is the project file that has it, "" for none
// yet.
func next(a *cli.App, file string, agents []*mcpimport.Agent, gateway bool) {
	active := 0
	for _, one := range agents {
		if one.Active() {
			active++
		}
	}
	what, argument, flag := fmt.Sprintf("%d of %d servers can be agents", active, len(agents)), "", ""
	if file != "" {
		what = fmt.Sprintf("agents added to %s: %d", file, active)
		argument, flag = " "+file, " -p "+file
	}
	fmt.Fprintf(a.Err, "openmas: %s. Next: openmas validate%s, openmas list%s, openmas run%s\n", what, argument, flag,
		argument)
	if !gateway {
		fmt.Fprintln(a.Err, "openmas: MCP clients reach the agents while they run if the project file has the line: "+
			"gateway: {}")
	}
	fmt.Fprintf(a.Err, "openmas: the configuration of a client: openmas mcp config --client cursor%s\n", flag)
}

// hasGateway finds the key in a project file whose keys are in lines of their own.
var hasGateway = regexp.MustCompile(`(?m)^gateway\s*:`)

// importInto adds agents to a project file, which is replaced in one step.
func importInto(a *cli.App, name string, agents []*mcpimport.Agent) error {
	old, err := os.ReadFile(name) //nolint:gosec // the user names it
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return cli.Usage(err)
	}
	merged, skipped, err := mcpimport.Into(old, agents)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, s := range skipped {
		fmt.Fprintf(a.Err, "note: %s is in %s already, and stays as it is\n", s, name)
	}
	added := slices.DeleteFunc(agents, func(one *mcpimport.Agent) bool { return slices.Contains(skipped, one.Name) })
	tell(a, added)
	for _, one := range added {
		for _, variable := range one.Secrets {
			if bytes.Contains(old, []byte("${env:"+variable+"}")) {
				fmt.Fprintf(a.Err, "note: %s: the variable %s is in %s already: rename it here if it is another secret\n",
					one.Name, variable, name)
			}
		}
	}
	if !bytes.Equal(old, merged) {
		if err := replaceFile(name, merged); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	next(a, name, added, hasGateway.Match(merged))
	return nil
}

// replaceFile writes a file anew, in one step. It keeps the permissions, and follows a link.
func replaceFile(name string, text []byte) (err error) {
	mode := os.FileMode(0o644)
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // nobody knows of it
		}
	}()
	_, err = f.Write(text)
	return errors.Join(err, f.Chmod(mode), f.Close(), func() error {
		if err != nil {
			return nil
		}
		return os.Rename(f.Name(), name)
	}())
}

func readImport(a *cli.App, name string) ([]byte, error) {
	in := a.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, cli.Usage(err)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxImport+1))
	if err == nil && len(text) > maxImport {
		err = fmt.Errorf("it is over %d MiB", maxImport>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return text, nil
}
