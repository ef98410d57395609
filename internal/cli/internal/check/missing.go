package check

import (
	"os"
	"os/exec"
	"strings"

	"github.com/openmas/openmas/runtime/project"
)

// Missing warns of programs and folders that cannot be found here. They may be where the project is
// to run.
func Missing(cfg *project.Config) (found []Problem) {
	for _, name := range cfg.AgentNames() {
		ac := cfg.Agents[name]
		if dir := cfg.ChildDir(name); ac.Dir != "" {
			if info, err := os.Stat(dir); err != nil || !info.IsDir() {
				warning := cfg.Errorf([]string{"agents", name, "dir"}, "agent %s: there is no folder %q here", name,
					dir)
				warning.Hint = "make it, or correct agents." + name + ".dir"
				found = append(found, Of(Warning, warning))
			}
		}
		if _, own := ac.Env["PATH"]; own || len(ac.Command) == 0 {
			continue
		}
		program := cfg.ChildCommand(name)[0]
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		warning := cfg.Errorf([]string{"agents", name, "command", "[0]"}, "agent %s: there is no program %q here", name,
			program)
		warning.Hint = "install it, or correct the command; openmas doctor shows all that is missing"
		if rest, home := strings.CutPrefix(ac.Command[0], "~/"); home {
			warning.Hint = "there is no shell that knows ~: write ${env:HOME}/" + rest
		}
		found = append(found, Of(Warning, warning))
	}
	return found
}
