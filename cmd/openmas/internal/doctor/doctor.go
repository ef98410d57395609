// Package doctor is openmas doctor: what a project needs on this machine, and whether it is there.
package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/runtime/project"
)

// patience bounds all checks together, which run at the same time.
const patience = 10 * time.Second

type report struct {
	OK     bool      `json:"ok"`
	Checks []finding `json:"checks"`
}

// A check looks at one thing.
type check struct {
	name string
	look func(ctx context.Context) finding
}

// Command is openmas doctor.
func Command(a *cli.App) *cobra.Command {
	var p cli.ProjectFlags
	var asJSON bool
	c := &cobra.Command{
		Use:        "doctor",
		SuggestFor: []string{"diagnose", "env", "preflight"},
		Short:      "Look whether this machine has what a project needs",
		Long: `Look whether this machine has what a project needs: Go, the ports, the broker, the receiver of traces,
the programs and servers of its agents, its folders, file descriptors. Nothing is started. Without a project,
it looks at what every project needs.

The exit code is 1 when something is missing without which the project does not run. What is marked "note" is
not there either, and the project runs without it.`,
		Args: cli.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := examine(c.Context(), a, &p)
			if err != nil {
				return err
			}
			n := 0
			for _, f := range all {
				if f.State == missing {
					n++
				}
			}
			if asJSON {
				err = cli.WriteJSON(a.Out, report{n == 0, all})
			} else {
				err = show(a.Out, all)
			}
			if err != nil || n == 0 {
				return err
			}
			if n == 1 {
				return errors.New("1 thing is missing that the project needs")
			}
			return fmt.Errorf("%d things are missing that the project needs", n)
		},
	}
	p.Register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print what was found as JSON")
	return c
}

// examine makes all checks at the same time, and returns what they found in their order.
func examine(ctx context.Context, a *cli.App, p *cli.ProjectFlags) ([]finding, error) {
	checks := []check{{"runtime folder", runtimeFolder}}
	cfg, err := read(a, p)
	var wrong project.Errors
	switch {
	case errors.As(err, &wrong):
		for _, w := range wrong {
			checks = append(checks, check{"project file", func(context.Context) finding {
				bare := *w
				bare.Hint = ""
				return lacks(cmp.Or(w.Hint, "openmas validate shows more"), "%v", &bare)
			}})
		}
		checks = append(checks, check{"go", goTool(nil)}, check{"file descriptors", descriptors(nil)})
	case err != nil:
		return nil, err
	case cfg == nil:
		checks = append(checks, check{"project file", func(context.Context) finding {
			return without("openmas init makes a project; -p FILE names one elsewhere", "there is none in this folder")
		}}, check{"go", goTool(nil)}, check{"file descriptors", descriptors(nil)})
	default:
		checks = append(checks, ofProject(cfg, a.Environ)...)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %v", patience))
	defer cancel()
	all := make([]finding, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() {
			all[i] = c.look(ctx)
			all[i].Check = c.name
			if cfg != nil {
				all[i].Found = cfg.Redact(all[i].Found)
			}
		})
	}
	wg.Wait()
	return all, nil
}

// read reads the project, if there is one here or one is named.
func read(a *cli.App, p *cli.ProjectFlags) (*project.Config, error) {
	if !p.Given() {
		if _, err := project.Find(""); err != nil {
			return nil, nil
		}
	}
	return a.ReadProject(p)
}

// ofProject are the checks for a project, those of what all have first.
func ofProject(cfg *project.Config, environ []string) []check {
	checks := []check{
		{"project file", func(context.Context) finding {
			return found("%s, %d agents", cfg.File, len(cfg.Agents))
		}},
		{"go", goTool(cfg)},
		{"state folder", stateFolder(cfg.StateDir())},
		{"file descriptors", descriptors(cfg)},
	}
	if cfg.Gateway != nil {
		checks = append(checks, check{"gateway port", port(cfg, "gateway.listen", cfg.Gateway.Listen)})
	}
	if cfg.Ops != nil {
		checks = append(checks, check{"ops port", port(cfg, "ops.listen", cfg.Ops.Listen)})
	}
	checks = append(checks, check{"broker", broker(cfg)})
	if endpoint, key := receiver(cfg, environ); endpoint != "" {
		checks = append(checks, check{"traces", traces(endpoint, key)})
	}
	for _, name := range cfg.AgentNames() {
		switch ac := cfg.Agents[name]; ac.Kind() {
		case project.KindCommand:
			checks = append(checks, check{"agent " + name, program(cfg, name)})
		case project.KindURL:
			checks = append(checks, check{"agent " + name, server(ac)})
		}
	}
	return checks
}
