package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/cli/internal/check"
	"github.com/openmas/openmas/internal/cli/internal/complete"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// completeTime bounds how long a shell waits for words.
const completeTime = time.Second

func (a *App) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:                   "completion SHELL",
		Short:                 "Print a script that completes commands, agents and tools in a shell",
		DisableFlagsInUseLine: true,
		Long: `Print a script for bash, zsh, fish or powershell. With it, Tab completes commands and flags, and for
call the agents and tools of the project that runs, the names of their arguments, and values that the
schema counts. Of a project that does not run, Tab knows what its file says, and starts nothing.

  bash        source <(openmas completion bash)                 in ~/.bashrc
  zsh         source <(openmas completion zsh)                  in ~/.zshrc, after compinit
  fish        openmas completion fish | source                  in ~/.config/fish/config.fish
  powershell  openmas completion powershell | Out-String | Invoke-Expression`,
		ValidArgs: shells,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return errors.New("name a shell: bash, zsh, fish or powershell")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			switch args[0] {
			case "bash":
				if err := root.GenBashCompletionV2(a.Out, true); err != nil {
					return err
				}
				_, err := io.WriteString(a.Out, complete.Bash(a.called.String()))
				return err
			case "zsh":
				return root.GenZshCompletion(a.Out)
			case "fish":
				return root.GenFishCompletion(a.Out, true)
			}
			return root.GenPowerShellCompletionWithDesc(a.Out)
		},
	}
}

// completeCall completes the arguments of call, with its flags --prompt and --resource.
func (a *App) completeCall(t *targetFlags, prompt, resource *bool) cobra.CompletionFunc {
	wants := func(name string) agent.Op { // it may not be whole yet
		switch {
		case *prompt:
			return agent.OpPrompt
		case *resource, strings.Contains(name, ":"):
			return agent.OpResource
		}
		return agent.OpTool
	}
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(c.Context(), completeTime)
		defer cancel()
		l := a.known(ctx, t)
		var w complete.Words
		if len(args) == 0 {
			w = complete.Names(l.Agents, wants(typed), typed)
		} else {
			w = complete.Arguments(inKnown(l, wants(args[0]), args[0]).schema, args[1:], typed)
		}
		directive := cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		if w.Open {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		return w.All, directive
	}
}

// inKnown describes what a name stands for in a listing, be it of a system or of one server.
func inKnown(l runtime.Listing, op agent.Op, name string) described {
	agentName, own, _ := inListing(l, name)
	for _, info := range l.Agents {
		switch info.Name {
		case "":
			return describeIn(info, op, name)
		case agentName:
			return describeIn(info, op, own)
		}
	}
	return described{}
}

// known is what can be called, as far as it is known in no time: that of the processes that run, or
// what the project file says. It writes nothing and starts nothing.
func (a *App) known(ctx context.Context, t *targetFlags) runtime.Listing {
	errOut := a.Err
	a.Err = io.Discard
	defer func() { a.Err = errOut }()
	log := slog.New(slog.DiscardHandler)
	if t.server.given() {
		if t.server.has("command") {
			return runtime.Listing{} // a program that would be started
		}
		session, err := a.connect(ctx, &t.server, log)
		if err != nil {
			return runtime.Listing{}
		}
		defer func() { _ = closing(ctx, session) }()
		return listServer(ctx, session)
	}
	if file, err := t.project.File(); err == nil && !t.isolated {
		all, err := running(ctx, file, log, unheard)
		if err == nil && len(all) > 0 {
			defer func() { _ = all.close(ctx) }()
			if l, err := all.list(ctx); err == nil {
				return l
			}
		}
	}
	cfg, err := a.ReadProject(&t.project)
	if err != nil {
		return runtime.Listing{}
	}
	return runtime.Listing{Agents: a.written(cfg)}
}

// written is what a project file says of its agents: all of those whose Go type this program has,
// of others the name and the tools that have keys.
func (a *App) written(cfg *project.Config) []agent.Info {
	offers := check.Offers(cfg, a.Types)
	var all []agent.Info
	for _, name := range slices.Sorted(maps.Keys(cfg.Agents)) {
		info, known := offers[name]
		info.Name = name
		if !known {
			for _, tool := range slices.Sorted(maps.Keys(cfg.Agents[name].Tools)) {
				info.Tools = append(info.Tools, agent.ToolInfo{Name: tool})
			}
		}
		all = append(all, info)
	}
	return all
}

// completeAgents completes the names of agents.
func (a *App) completeAgents(p *ProjectFlags) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(c.Context(), completeTime)
		defer cancel()
		var names []string
		for _, info := range a.known(ctx, &targetFlags{systemFlags: systemFlags{project: *p}}).Agents {
			if strings.HasPrefix(info.Name, typed) && info.Name != "openmas" {
				names = append(names, fmt.Sprintf("%s\t%s", info.Name, firstLine(info.Description)))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
