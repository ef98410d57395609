package check

import (
	"log/slog"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/lifecycle"
	"github.com/openmas/openmas/runtime/project"
)

// An asked agent is one of a Go type that has said what it offers and requires.
type asked struct {
	info     agent.Info
	requires []agent.Requirement
	runner   bool
}

// ask makes an agent of each type and asks it for its capabilities. One that cannot be made is left
// out: the runtime says why.
func ask(cfg *project.Config, types agent.Types) map[string]asked {
	all := map[string]asked{}
	for name, ac := range cfg.Agents {
		if construct := types[ac.Type]; ac.Kind() == project.KindType && construct != nil {
			if a, err := askOne(name, construct, ac.Config); err == nil {
				all[name] = a
			}
		}
	}
	return all
}

func askOne(name string, construct func() agent.Agent, config map[string]any) (got asked, err error) {
	defer lifecycle.Recover(&err, slog.New(slog.DiscardHandler), "agent "+name)
	a := construct()
	if err := project.Fill(a, config); err != nil {
		return asked{}, err
	}
	i, err := lifecycle.New(a, agent.Env{Name: name})
	if err != nil {
		return asked{}, err
	}
	_, runner := a.(agent.Runner)
	return asked{i.Host.Info(), i.Requires(), runner}, nil
}

// Offers is what the agents of a project offer, by name, as far as their Go types are among types.
func Offers(cfg *project.Config, types agent.Types) map[string]agent.Info {
	all := map[string]agent.Info{}
	for name, a := range ask(cfg, types) {
		all[name] = a.info
	}
	return all
}
